"""Everything that can be set, in one flat frozen dataclass: the single source of flags, help and checks."""

import dataclasses
from typing import Any

from PIL import ImageColor

from dcgan_tf.config import plan
from dcgan_tf.config.checks import check_range, check_type
from dcgan_tf.errors import UserError

# The keys of dictionaries that need TensorFlow, without which this file does.
LOSS_NAMES = ("non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic_average")
PENALTY_NAMES = ("wgan_gp", "r1", "dragan")
DECAY_NAMES = ("constant", "linear", "exponential", "cosine")
AUGMENTATION_NAMES = ("color", "translation", "cutout")
POINT_DATA_SETS = ("ring", "grid")
MAXIMUM_FILTERS = 16_384
UPSAMPLING_NAMES = ("transposed", "nearest", "bilinear", "bicubic")


def _option(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    may_change: bool = False,
    flag: bool = True,
    path: bool = False,
) -> Any:
    """A field with what its flag needs. ``may_change``: a resumed run accepts another value, training is the same.
    ``flag``: false for what is settled from the data. ``path``: names a file or folder."""
    metadata = {
        "description": description,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "below": below,
        "choices": choices,
        "may_change": may_change,
        "flag": flag,
        "path": path,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run.

    Precedence: the defaults here, then the preset, then what the data set needs (points need no convolutions), then
    what the user gives. docs/configuration.md describes every field.
    """

    preset: str = _option("default", "Named combination of settings; any flag typed beside it wins.")

    # Data
    dataset: str = _option(
        "mnist",
        "Image data set: folder, for your own pictures in `data_dir`; or a name in TensorFlow Datasets, such as the "
        "bundled mnist; or stacked_mnist, three random digits as RGB; or ring or grid, points of a mixture of "
        "Gaussians in the plane.",
    )
    split: str = _option(
        "train",
        "Part of the data set to train on, in TFDS notation, such as train or train[:5000]; of a folder, the "
        "sub-folder of that name, where all of its folders have names of splits.",
    )
    image_size: str = _option(
        "auto", "Pixels of the square image, or HEIGHTxWIDTH. auto: the data's own size where it can be built, else 64."
    )
    channels: str = _option(
        "auto",
        "1: gray. 3: RGB. auto: as the data has it. Images of the other kind are converted.",
        choices=("auto", "1", "3"),
    )
    crop: str = _option(
        "center",
        "center: the middle, in the image's aspect ratio. random: from the middle and an eighth around it, another "
        "part in every batch. none: the whole picture, squeezed.",
        choices=("center", "random", "none"),
    )
    crop_size: int = _option(
        0,
        "Side in pixels of a centred square cut from each picture first, such as 108 for aligned faces; 0: none.",
        minimum=0,
    )
    flip: bool = _option(False, "Mirror half of the images of every batch, left to right.")
    background: str = _option("white", "Colour behind transparent pixels: a name such as black, or #rrggbb.")
    max_pixels: int = _option(100_000_000, "A picture with more pixels counts as bad, and is not decoded.", minimum=1)
    max_side: int = _option(65_535, "The same for a picture with more pixels than this on one side.", minimum=1)
    max_bad_share: float = _option(
        0.1, "Stop where more than this share of the pictures cannot be used.", minimum=0, maximum=1, may_change=True
    )
    data_dir: str = _option(
        "",
        "With `dataset=folder`, the folder of pictures. Else where TensorFlow Datasets keeps prepared data sets; a "
        "copy found there is used first. "
        "Default: $TFDS_DATA_DIR or ~/tensorflow_datasets.",
        may_change=True,
        path=True,
    )
    manual_dir: str = _option(
        "", "Folder with the data set's original files, used in place of a download.", may_change=True, path=True
    )
    cache_dir: str = _option(
        "",
        "Where the decoded and resized images are kept. Default: $XDG_CACHE_HOME/dcgan_tf or ~/.cache/dcgan_tf.",
        may_change=True,
        path=True,
    )

    # Settled from the data: not flags
    class_names: tuple[str, ...] = _option((), "Names of the classes, in the order of their labels.", flag=False)
    data_digest: str = _option("", "Digest of the prepared images and labels.", flag=False)
    data_rules: int = _option(
        0, "Rules by which a folder's pictures are chosen and labeled; 0: not settled.", may_change=True, flag=False
    )
    replicas: int = _option(0, "Devices that train, settled at the start.", may_change=True, flag=False)

    # Length and randomness
    steps: int = _option(
        10_000,
        "Train steps in all. A finished run continues when this grows.",
        minimum=1,
        maximum=10**9,
        may_change=True,
    )
    epochs: float = _option(
        0.0, "Passes over the data in all; 0 means that `steps` decides.", minimum=0, may_change=True
    )
    batch_size: int = _option(64, "Images in a batch, over all devices.", minimum=2)
    seed: int = _option(0, "Seed of the weights, the order of the data, and all noise.", minimum=0, maximum=2**31 - 1)

    # Networks
    architecture: str = _option(
        "dcgan",
        "dcgan: convolutional (arXiv 1511.06434). mlp: fully connected (arXiv 1406.2661).",
        choices=("dcgan", "mlp"),
    )
    conditional: bool = _option(
        False,
        "Tell both networks the class of each image: an embedding into G, a projection head in D (arXiv 1802.05637).",
    )
    latent_dim: int = _option(100, "Length of the normal noise vector z.", minimum=1, maximum=65_536)
    upsampling: str = _option(
        "transposed",
        "How the generator doubles its feature maps: a transposed convolution of stride 2, or resizing by the "
        "method named and a convolution of stride 1.",
        choices=UPSAMPLING_NAMES,
    )
    blocks: int = _option(
        0,
        "How often the image's size is halved, rounded up, to the generator's first feature map. 0: as often as leaves "
        "it at least 4 pixels on its short side.",
        minimum=0,
        maximum=7,
    )
    generator_extra_layer: str = _option(
        "none",
        "One more hidden layer of stride 1 in the generator: base, after its first feature map, or image, before its "
        "last layer. Needs one more number in `generator_filters`, or doubles once more.",
        choices=("none", "base", "image"),
    )
    generator_activation: str = _option("relu", "After the generator's hidden layers.", choices=("relu", "leaky_relu"))
    kernel_size: int = _option(4, "Side of the convolution kernels, in pixels.", minimum=3, maximum=7)
    generator_filters: str = _option(
        "64",
        "Filters of the generator's last hidden layer, doubled for each layer towards z; or one number a hidden "
        "layer from z on, such as 256,128. For mlp: the widths of the hidden layers.",
    )
    discriminator_filters: str = _option(
        "32",
        "Filters of the discriminator's first layer, doubled for each layer on; or one number a layer from the "
        "image on, such as 128,128. For mlp: the widths of the hidden layers.",
    )
    dropout: float = _option(0.0, "Share of the discriminator's activations dropped in training.", minimum=0, below=1)
    leaky_slope: float = _option(0.2, "Slope of LeakyReLU below zero.", minimum=0, below=1)
    discriminator_norm: str = _option(
        "batch",
        "After the discriminator's hidden convolutions but the first: BatchNorm; layer normalisation, which leaves "
        "each image to itself; or none.",
        choices=("batch", "layer", "none"),
    )
    spectral_norm: bool = _option(
        False, "Divide each kernel of the discriminator by its largest singular value (arXiv 1802.05957)."
    )
    minibatch_stddev: bool = _option(
        False, "Show the discriminator how varied its batch is, against collapse (arXiv 1710.10196)."
    )
    pack: int = _option(
        1, "Images that the discriminator judges together, against collapse (PacGAN, arXiv 1712.04086).", minimum=1
    )
    batchnorm_momentum: float = _option(
        0.9, "Momentum of the moving statistics that BatchNorm uses after training.", minimum=0, below=1
    )
    discriminator_head: str = _option(
        "flatten",
        "From the last feature map to one logit: flatten and a linear layer, or global average pooling and a "
        "linear layer (more stable, slower to converge).",
        choices=("flatten", "average_pool"),
    )

    # Objective and optimization
    loss: str = _option(
        "non_saturating",
        "non_saturating: G maximizes log D(G(z)). minimax: G minimizes log(1 - D(G(z))), the game's value itself. "
        "least_squares (arXiv 1611.04076), hinge (1705.02894), wasserstein (1701.07875), relativistic_average "
        "(1807.00734).",
        choices=LOSS_NAMES,
    )
    penalty: str = _option(
        "none",
        "On D's gradient at its input. wgan_gp (arXiv 1704.00028): length 1 between real and fake. r1 (1801.04406): "
        "length 0 at real images. dragan (1705.07215): length 1 around real images.",
        choices=("none", *PENALTY_NAMES),
    )
    penalty_weight: float = _option(10.0, "Factor of the penalty: lambda, or gamma for r1.", above=0)
    penalty_every: int = _option(
        1, "Train steps from one penalty to the next, which then counts that many times (arXiv 1912.04958).", minimum=1
    )
    weight_clip: float = _option(
        0.0, "Keep the discriminator's weights between minus and plus this number (arXiv 1701.07875); 0: no.", minimum=0
    )
    unroll_steps: int = _option(
        0, "Virtual D updates through which G's loss looks ahead (arXiv 1611.02163).", minimum=0, maximum=100
    )
    discriminator_steps: int = _option(
        1, "Updates of the discriminator, each with a batch of its own, before one of G.", minimum=1, maximum=100
    )
    instance_noise: float = _option(
        0.0,
        "Deviation of the normal noise added to real and fake images at first, where 1 is half of the range from "
        "black to white (arXiv 1610.04490).",
        minimum=0,
    )
    instance_noise_decay: str = _option(
        "linear",
        "How that noise fades: to 0 (linear, cosine) or to 1 % (exponential) in `instance_noise_steps`.",
        choices=DECAY_NAMES,
    )
    instance_noise_steps: int = _option(2000, "Train steps until the instance noise has faded.", minimum=1)
    label_smoothing: float = _option(
        0.0, "D's target for real images is 1 less this; the one for fakes stays 0 (arXiv 1606.03498).", minimum=0
    )
    label_noise: float = _option(
        0.0, "D's targets are moved by up to this much towards each other, by chance an image.", minimum=0
    )
    label_flip: float = _option(
        0.0, "Probability that D is told the opposite of an image's kind.", minimum=0, below=0.5
    )
    diff_augment: str = _option(
        "",
        "Differentiable augmentations of all that D sees, any of color,translation,cutout (arXiv 2006.10738): for "
        "small data sets.",
    )
    optimizer: str = _option("adam", "adam, or rmsprop as in arXiv 1701.07875.", choices=("adam", "rmsprop"))
    learning_rate_decay: str = _option(
        "constant",
        "How both learning rates change: to 0 (linear, cosine) or 1 % (exponential) in `learning_rate_decay_steps`.",
        choices=DECAY_NAMES,
    )
    learning_rate_decay_steps: int = _option(0, "Train steps until the learning rates have decayed.", minimum=0)
    learning_rate_generator: float = _option(1e-3, "The generator's learning rate.", above=0)
    learning_rate_discriminator: float = _option(1e-3, "The discriminator's learning rate.", above=0)
    beta_1: float = _option(0.5, "Adam's decay rate of the first moment.", minimum=0, below=1)
    beta_2: float = _option(0.999, "Decay rate of the second moment, of Adam or RMSProp.", minimum=0, below=1)
    ema_decay: float = _option(
        0.999,
        "Decay of the moving average of the generator's weights, with which images are sampled and exported. "
        "0: the last weights as they are.",
        minimum=0,
        below=1,
    )
    fresh_noise: bool = _option(
        False, "Draw new noise for the generator's update, in place of the images that the discriminator just saw."
    )
    joint_batch: bool = _option(
        False, "Show real and fake images to the discriminator in one batch, with common BatchNorm statistics."
    )

    # The loop
    log_every: int = _option(50, "Steps between scalars in TensorBoard and metrics.jsonl.", minimum=1, may_change=True)
    sample_every: int = _option(250, "Steps between grids of samples.", minimum=1, may_change=True)
    evaluate_every: int = _option(
        1000,
        "Steps between quick evaluations, by which the best checkpoint is kept. 0: none, and the newest is the best.",
        minimum=0,
        may_change=True,
    )
    checkpoint_every: int = _option(1000, "Steps between checkpoints.", minimum=1, may_change=True)
    keep_checkpoints: int = _option(
        3, "Newest checkpoints that are kept, besides the best.", minimum=1, may_change=True
    )
    keep_versions: int = _option(3, "Newest exported versions that are kept.", minimum=1, may_change=True)
    steps_per_call: int = _option(
        10, "Train steps that run between two returns to Python.", minimum=1, maximum=10_000, may_change=True
    )
    mixed_precision: bool = _option(False, "Compute in bfloat16; weights and losses stay in float32.")
    strategy: str = _option(
        "none",
        "none: one device. mirrored: all GPUs of this machine. multi_worker: the processes named by `workers`. tpu: "
        "the TPU of this machine.",
        choices=("none", "mirrored", "multi_worker", "tpu"),
        may_change=True,
    )
    workers: str = _option(
        "",
        "host:port of each process of `strategy=multi_worker`, by commas; the first writes the run. Default: as "
        "TF_CONFIG or SLURM says.",
        may_change=True,
    )
    worker_index: int = _option(-1, "Which of `workers` this process is, from 0.", minimum=-1, may_change=True)
    worker_timeout: float = _option(
        60.0,
        "Seconds to wait for the other workers at the start; without a sign of life for so long, one counts as lost.",
        above=0,
        may_change=True,
    )
    worker_secret: str = _option(
        "",
        "File with a secret of 16 bytes or more, the same for all workers, without which nobody can join them. "
        "Default: what the variable DCGAN_TF_WORKER_SECRET holds, or none.",
        may_change=True,
        path=True,
    )
    jit_compile: bool = _option(False, "Compile the train step with XLA. Worth a try on a GPU, no gain on a CPU.")

    def __post_init__(self) -> None:
        """Checks every field by itself.

        Raises:
            UserError: A value of another type, beyond its limits, or that names nothing. It carries the field.
        """
        for field in dataclasses.fields(self):
            value = check_type(field, getattr(self, field.name))
            check_range(field, value)
            object.__setattr__(self, field.name, value)
        if self.image_size != "auto":
            try:
                plan.plan_blocks(*plan.parse_size(self.image_size), self.blocks)
            except ValueError as error:
                raise UserError(f"`image_size`: {error}. Received: {self.image_size!r}", field="image_size") from None
        try:
            ImageColor.getrgb(self.background)
        except ValueError:
            raise UserError(
                f"`background`: expected a color such as white, black or #ff8800. Received: {self.background!r}",
                field="background",
            ) from None
        for name in ("generator_filters", "discriminator_filters"):
            parse_filters(name, getattr(self, name))
        for name in self.augmentations:
            if name not in AUGMENTATION_NAMES:
                raise UserError(
                    f"`diff_augment`: expected any of {','.join(AUGMENTATION_NAMES)}. Received: {self.diff_augment!r}",
                    field="diff_augment",
                )

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Pixels of the image, once ``image_size`` is no longer ``auto``."""
        return plan.parse_size(self.image_size)

    @property
    def draws_points(self) -> bool:
        """Whether the data are points in the plane in place of images."""
        return self.dataset in POINT_DATA_SETS

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of an image, or (2,) of a point, once nothing is ``auto``."""
        return (2,) if self.draws_points else (*self.height_and_width, int(self.channels))

    @property
    def augmentations(self) -> tuple[str, ...]:
        """The names in ``diff_augment``."""
        return tuple(self.diff_augment.split(",")) if self.diff_augment else ()

    @property
    def label_count(self) -> int:
        """Classes that the networks are told of: 0 for an unconditional run."""
        return len(self.class_names) if self.conditional else 0


# The first field of each section, in the order of the fields.
SECTIONS = {
    "preset": "Preset",
    "dataset": "Data",
    "steps": "Length and randomness",
    "architecture": "Networks",
    "loss": "Objective and optimization",
    "log_every": "The loop",
}


def fields_by_section() -> dict[str, list[dataclasses.Field]]:
    """The fields that are flags, by the heading they belong under, in order."""
    sections: dict[str, list[dataclasses.Field]] = {}
    heading = ""
    for field in dataclasses.fields(Config):
        heading = SECTIONS.get(field.name, heading)
        if field.metadata["flag"]:
            sections.setdefault(heading, []).append(field)
    return sections


def changed_settings(config: Config) -> list[str]:
    """The settings that differ from the defaults, as ``name=value``, in the order of the fields."""
    return [
        f"{field.name}={getattr(config, field.name)}"
        for field in dataclasses.fields(Config)
        if field.metadata["flag"] and getattr(config, field.name) != field.default
    ]


def parse_filters(name: str, text: str) -> tuple[int, ...]:
    """Reads ``"64"`` or ``"256,128"``.

    Raises:
        UserError: not a list of positive whole numbers.
    """
    try:
        filters = tuple(int(item) for item in text.split(","))
    except ValueError:
        filters = ()
    if not filters or min(filters) < 1 or max(filters) > MAXIMUM_FILTERS:
        raise UserError(
            f"`{name}`: expected a number from 1 to {MAXIMUM_FILTERS} such as 64, or several such as 256,128. "
            f"Received: {text!r}",
            field=name,
        )
    return filters
