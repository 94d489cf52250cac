"""The discriminator: from images in [-1, 1] to logits, above zero for real and below zero for fake."""

from collections.abc import Sequence

import keras

from dcgan_tf.config import plan
from dcgan_tf.models.conditioning import judge
from dcgan_tf.models.layers import LayerFactory, block_filters
from dcgan_tf.models.minibatch import MinibatchStddev

HEADS = {"flatten": keras.layers.Flatten, "average_pool": keras.layers.GlobalAveragePooling2D}


def build_discriminator(
    height: int,
    width: int,
    channels: int,
    *,
    filters: int | Sequence[int] = 32,
    blocks: int = 0,
    kernel_size: int = 4,
    norm: str = "batch",
    batchnorm_momentum: float = 0.9,
    spectral_norm: bool = False,
    leaky_slope: float = 0.2,
    dropout: float = 0.0,
    dropout_rows: int = 0,
    minibatch_stddev: bool = False,
    head: str = "flatten",
    pack: int = 1,
    is_unrolled: bool = False,
    class_count: int = 0,
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds the discriminator of Radford et al. 2015 (arXiv 1511.06434).

    It has convolutions of stride 2 with LeakyReLU, normalization after all of them except the first, and no hidden
    fully connected layer. With ``pack``, it judges several images at once, stacked in the channels (PacGAN, arXiv
    1712.04086).

    Args:
        height, width, channels: Size of one image in pixels, from 16 to 256, and its number of channels.
        filters: Filters of the first layer, doubled per layer; or one number per layer, starting at the image.
        blocks: Number of halvings; 0: as many as leave a feature map of at least 4 pixels on its short side.
        kernel_size: Side of the kernels in pixels.
        norm: ``batch``, ``layer`` or ``none``.
        batchnorm_momentum: Momentum of moving statistics.
        spectral_norm: Divide each kernel by its largest singular value (arXiv 1802.05957).
        leaky_slope: Slope of LeakyReLU below zero.
        dropout: Share of the activations dropped in training.
        dropout_rows: Rows of a global batch; needed for dropout on several replicas.
        minibatch_stddev: Append the standard deviation over the batch as a feature (arXiv 1710.10196).
        head: How the last feature map becomes a logit: by ``flatten`` or ``average_pool``, then a linear layer.
        pack: Images judged together.
        is_unrolled: Give spectral normalization a correct second derivative, which unrolling needs.
        class_count: Classes of a conditional discriminator; 0: unconditional.
        seed: Seed of the initial weights, drawn from N(0, 0.02).
        dtype: Keras dtype policy of the hidden layers.

    Returns:
        A functional model: float32 [N, height, width, pack * channels] in [-1, 1] -> logits float32 [N, 1]; a
        conditional one takes [images, labels int64 [N]].

    Raises:
        ValueError: The size cannot be built, or the filters do not fit it.
    """
    layers = LayerFactory(
        seed,
        dtype,
        kernel_size=kernel_size,
        leaky_slope=leaky_slope,
        batchnorm_momentum=batchnorm_momentum,
        spectral_norm=spectral_norm,
        dropout=dropout,
        dropout_rows=dropout_rows,
        is_unrolled=is_unrolled,
    )
    block_count = plan.plan_blocks(height, width, blocks).blocks
    image = keras.Input((height, width, pack * channels), name="image")
    x = image
    widths = block_filters("discriminator_filters", filters, block_count, from_image=True)
    for number, width_of_layer in enumerate(widths, start=1):
        # The first layer must see the mean and contrast of the images: fakes may differ only in these.
        is_normalized = number > 1 and norm != "none"
        x = layers.downsample(width_of_layer, use_bias=not is_normalized, name=f"block_{number}")(x)
        if is_normalized:
            x = layers.normalize(x, norm, f"block_{number}_norm")
        x = layers.leaky_relu(f"block_{number}_leaky_relu")(x)
        x = layers.drop(x, f"block_{number}_dropout")
    if minibatch_stddev:
        x = MinibatchStddev(batchnorm_momentum, dtype="float32", name="minibatch_stddev")(x)
    return judge(image, HEADS[head](name=head)(x), class_count, layers)


def build_outputs(discriminator: keras.Model) -> keras.Model:
    """Builds all outputs of a trained discriminator, of which training needs only the logits.

    Args:
        discriminator: A model from `build_discriminator`. Its weights are shared, not copied.

    Returns:
        A functional model: image -> {"logits": [N], "probability": [N], "features": [N, F]}, all float32. The
        probability of being real is the sigmoid of the logits, which is meaningful only for a cross-entropy loss. The
        features are the input of the last layer.
    """
    logits = keras.layers.Reshape((), name="logit")(discriminator.output)
    features = keras.layers.Activation("linear", dtype="float32")(discriminator.get_layer("logits").input)
    outputs = {"logits": logits, "probability": keras.ops.sigmoid(logits), "features": features}
    return keras.Model(discriminator.input, outputs, name="discriminator_outputs")
