"""What the two networks are."""

import dataclasses

from dcgan_tf.config.sections.option import option

MAX_FILTERS = 16_384
UPSAMPLING_NAMES = ("transposed", "nearest", "bilinear", "bicubic")


@dataclasses.dataclass(frozen=True)
class Networks:
    """What the two networks are."""

    architecture: str = option(
        "dcgan",
        "dcgan: convolutional (arXiv 1511.06434). mlp: fully connected (arXiv 1406.2661).",
        choices=("dcgan", "mlp"),
    )
    conditional: bool = option(
        False,
        "Tell both networks the class of each image: an embedding into G, a projection head in D (arXiv 1802.05637).",
    )
    latent_dim: int = option(100, "Length of the normal noise vector z.", minimum=1, maximum=65_536)
    upsampling: str = option(
        "transposed",
        "How the generator doubles its feature maps: a transposed convolution of stride 2, or resizing by the "
        "method named and a convolution of stride 1.",
        choices=UPSAMPLING_NAMES,
    )
    blocks: int = option(
        0,
        "How often the image's size is halved, rounded up, to the generator's first feature map. 0: as often as leaves "
        "it at least 4 pixels on its short side.",
        minimum=0,
        maximum=7,
    )
    generator_extra_layer: str = option(
        "none",
        "One more hidden layer of stride 1 in the generator: base, after its first feature map, or image, before its "
        "last layer. Needs one more number in `generator_filters`, or doubles once more.",
        choices=("none", "base", "image"),
    )
    generator_activation: str = option("relu", "After the generator's hidden layers.", choices=("relu", "leaky_relu"))
    kernel_size: int = option(4, "Side of the convolution kernels, in pixels.", minimum=3, maximum=7)
    generator_filters: str = option(
        "64",
        "Filters of the generator's last hidden layer, doubled for each layer towards z; or one number a hidden "
        "layer from z on, such as 256,128. For mlp: the widths of the hidden layers.",
    )
    discriminator_filters: str = option(
        "32",
        "Filters of the discriminator's first layer, doubled for each layer on; or one number a layer from the "
        "image on, such as 128,128. For mlp: the widths of the hidden layers.",
    )
    dropout: float = option(0.0, "Share of the discriminator's activations dropped in training.", minimum=0, below=1)
    leaky_slope: float = option(0.2, "Slope of LeakyReLU below zero.", minimum=0, below=1)
    discriminator_norm: str = option(
        "batch",
        "After the discriminator's hidden convolutions but the first: BatchNorm; layer normalisation, which leaves "
        "each image to itself; or none.",
        choices=("batch", "layer", "none"),
    )
    spectral_norm: bool = option(
        False, "Divide each kernel of the discriminator by its largest singular value (arXiv 1802.05957)."
    )
    minibatch_stddev: bool = option(
        False, "Show the discriminator how varied its batch is, against collapse (arXiv 1710.10196)."
    )
    pack: int = option(
        1, "Images that the discriminator judges together, against collapse (PacGAN, arXiv 1712.04086).", minimum=1
    )
    batchnorm_momentum: float = option(
        0.9, "Momentum of the moving statistics that BatchNorm uses after training.", minimum=0, below=1
    )
    discriminator_head: str = option(
        "flatten",
        "From the last feature map to one logit: flatten and a linear layer, or global average pooling and a "
        "linear layer (more stable, slower to converge).",
        choices=("flatten", "average_pool"),
    )
