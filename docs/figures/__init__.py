"""The pictures of docs/how-it-works.md, each computed by the module of its name: python -m docs.figures NAME ..."""

import dcgan_tf  # noqa: F401  It settles TensorFlow's environment, which must be before TensorFlow is imported.

# Name of the module -> what its `draw()` shows, and what it takes on two CPU cores.
FIGURES = {
    "gradients": "the two losses of G and their gradients; 5 seconds",
    "convolution": "a convolution as a matrix, and its transpose; 5 seconds",
    "architecture": "both networks, from the built models; 10 seconds",
    "checkerboards": "transposed and resize-convolutions early in training; 1 minute",
    "batch_norm": "one latent in several batches, in training and in inference; 1 minute",
    "failures": "a healthy training and four that fail; 3 minutes",
}
