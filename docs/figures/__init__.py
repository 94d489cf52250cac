"""The figures of docs/how-it-works.md, each drawn by the module of the same name: python -m docs.figures NAME ..."""

import dcgan_tf  # noqa: F401  It sets TensorFlow's environment variables, which must precede TensorFlow's import.

# Name of the module -> what its figure shows, and how long drawing takes on two CPU cores.
FIGURES = {
    "gradients": "the two losses of G and their gradients; 5 seconds",
    "convolution": "a convolution as a matrix, and its transpose; 5 seconds",
    "architecture": "both networks, from the built models; 10 seconds",
    "checkerboards": "transposed convolutions and resize-convolutions early in training; 1 minute",
    "batch_norm": "one latent in several batches, in training and in inference mode; 1 minute",
    "failures": "a healthy training and four that fail; 3 minutes",
}
