"""Settings of the two networks."""

import dataclasses

from dcgan_tf.config.sections.option import option

MAX_FILTERS = 16_384
UPSAMPLING_NAMES = ("transposed", "nearest", "bilinear", "bicubic")


@dataclasses.dataclass(frozen=True)
class Networks:
    """Settings of the two networks."""

    architecture: str = option(
        "dcgan",
        "Kind of networks. dcgan: convolutional (arXiv 1511.06434). mlp: fully connected (arXiv 1406.2661).",
        choices=("dcgan", "mlp"),
    )
    conditional: bool = option(
        False,
        "Train a class-conditional model. G receives the class as an embedding, D through a projection "
        "head (arXiv 1802.05637).",
    )
    latent_dim: int = option(
        100, "Length of the latent vector z, which is drawn from a normal distribution.", minimum=1, maximum=65_536
    )
    upsampling: str = option(
        "transposed",
        "How the generator doubles the size of its feature maps. transposed: a transposed convolution of stride 2. "
        "nearest, bilinear, bicubic: resizing by this method, then a convolution of stride 1.",
        choices=UPSAMPLING_NAMES,
    )
    blocks: int = option(
        0,
        "Number of upsampling and downsampling blocks. Each halves the image size, rounded up. 0: as many as keep the "
        "smallest feature map at least 4 pixels on its short side.",
        minimum=0,
        maximum=7,
    )
    generator_extra_layer: str = option(
        "none",
        "Extra hidden layer of stride 1 in the generator. base: after its first feature map. image: before its last "
        "layer. `generator_filters` counts it as a hidden layer: a list needs a number for it, too.",
        choices=("none", "base", "image"),
    )
    generator_activation: str = option(
        "relu", "Activation after the generator's hidden layers.", choices=("relu", "leaky_relu")
    )
    kernel_size: int = option(4, "Side of the convolution kernels, in pixels.", minimum=3, maximum=7)
    generator_filters: str = option(
        "64",
        "Filters of the generator's last hidden layer, doubled per layer toward z. Or one number per hidden layer, "
        "starting at z, such as 256,128. For mlp: the widths of the hidden layers.",
    )
    discriminator_filters: str = option(
        "32",
        "Filters of the discriminator's first layer, doubled per layer. Or one number per layer, starting at the "
        "image, such as 128,128. For mlp: the widths of the hidden layers.",
    )
    dropout: float = option(0.0, "Dropout rate of the discriminator.", minimum=0, below=1)
    leaky_slope: float = option(0.2, "Slope of LeakyReLU for negative inputs.", minimum=0, below=1)
    discriminator_norm: str = option(
        "batch",
        "Normalization after the discriminator's hidden convolutions, except the first. batch: BatchNorm. layer: layer "
        "normalization, which treats each image separately. none: no normalization.",
        choices=("batch", "layer", "none"),
    )
    spectral_norm: bool = option(
        False, "Divide each kernel of the discriminator by its largest singular value (arXiv 1802.05957)."
    )
    minibatch_stddev: bool = option(
        False, "Show the discriminator how diverse its batch is, to prevent mode collapse (arXiv 1710.10196)."
    )
    pack: int = option(
        1,
        "Number of images that the discriminator judges together, to prevent mode collapse (PacGAN, arXiv 1712.04086).",
        minimum=1,
    )
    batchnorm_momentum: float = option(
        0.9, "Momentum of the moving statistics that BatchNorm uses after training.", minimum=0, below=1
    )
    discriminator_head: str = option(
        "flatten",
        "How the last feature map becomes one logit. flatten: it is flattened and passed to a linear layer. "
        "average_pool: global average pooling and a linear layer (more stable, slower to converge).",
        choices=("flatten", "average_pool"),
    )
