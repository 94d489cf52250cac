"""Everything that can be set, in one flat frozen dataclass: the single source of flags, help and checks."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from PIL import ImageColor

from dcgan_tf.errors import UserError
from dcgan_tf.models import plan

LOSS_NAMES = ("non_saturating", "minimax")
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
) -> Any:
    """A field with what its flag needs. ``may_change``: a resumed run accepts another value, training is the same.
    ``flag``: false for what is settled from the data."""
    metadata = {
        "description": description,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "below": below,
        "choices": choices,
        "may_change": may_change,
        "flag": flag,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run. Precedence: the defaults here, then the preset, then the flags that the user typed."""

    preset: str = _option("default", "Named combination of settings; any flag typed beside it wins.")

    # Data
    dataset: str = _option(
        "mnist",
        "Image data set: folder, for your own pictures in --data_dir; or a name in TensorFlow Datasets, such as the "
        "bundled mnist.",
    )
    split: str = _option(
        "train",
        "Part of the data set to train on, in TFDS notation, such as train or train[:5000]; of a folder, the "
        "sub-folder of that name, if there is one.",
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
    max_bad_share: float = _option(
        0.1, "Stop where more than this share of the pictures cannot be used.", minimum=0, maximum=1, may_change=True
    )
    data_dir: str = _option(
        "",
        "With --dataset=folder, the folder of pictures. Else where TensorFlow Datasets keeps prepared data sets; a "
        "copy found there is used first. "
        "Default: $TFDS_DATA_DIR or ~/tensorflow_datasets.",
        may_change=True,
    )
    manual_dir: str = _option(
        "", "Folder with the data set's original files, used in place of a download.", may_change=True
    )
    cache_dir: str = _option(
        "",
        "Where the decoded and resized images are kept. Default: $XDG_CACHE_HOME/dcgan_tf or ~/.cache/dcgan_tf.",
        may_change=True,
    )

    # Settled from the data: not flags
    class_names: tuple[str, ...] = _option((), "Names of the classes, in the order of their labels.", flag=False)
    data_digest: str = _option("", "Digest of the prepared images and labels.", flag=False)

    # Length and randomness
    steps: int = _option(
        5000, "Train steps in all. A finished run continues when this grows.", minimum=1, maximum=10**9, may_change=True
    )
    epochs: float = _option(
        0.0, "Passes over the data in all; 0 means that --steps decides.", minimum=0, may_change=True
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
    kernel_size: int = _option(5, "Side of the convolution kernels, in pixels.", minimum=3, maximum=7)
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
    leaky_slope: float = _option(0.2, "Slope of the discriminator's LeakyReLU below zero.", minimum=0, below=1)
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
        "non_saturating: G maximizes log D(G(z)). minimax: G minimizes log(1 - D(G(z))), the game's value itself.",
        choices=LOSS_NAMES,
    )
    learning_rate_generator: float = _option(5e-4, "Adam's learning rate for the generator.", above=0)
    learning_rate_discriminator: float = _option(5e-4, "Adam's learning rate for the discriminator.", above=0)
    beta_1: float = _option(0.5, "Adam's decay rate of the first moment.", minimum=0, below=1)
    beta_2: float = _option(0.999, "Adam's decay rate of the second moment.", minimum=0, below=1)
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
    checkpoint_every: int = _option(1000, "Steps between checkpoints.", minimum=1, may_change=True)
    keep_checkpoints: int = _option(3, "Newest checkpoints that are kept.", minimum=1, may_change=True)
    keep_versions: int = _option(3, "Newest exported versions that are kept.", minimum=1, may_change=True)
    steps_per_call: int = _option(
        10, "Train steps that run between two returns to Python.", minimum=1, maximum=10_000, may_change=True
    )
    mixed_precision: bool = _option(False, "Compute in bfloat16; weights and losses stay in float32.")
    jit_compile: bool = _option(False, "Compile the train step with XLA. Worth a try on a GPU, no gain on a CPU.")

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Pixels of the image, once ``image_size`` is no longer ``auto``."""
        return plan.parse_size(self.image_size)

    @property
    def label_count(self) -> int:
        """Classes that the networks are told of: 0 for an unconditional run."""
        return len(self.class_names) if self.conditional else 0

    def validate(self) -> None:
        """Checks every field, and the fields against each other.

        Raises:
            UserError: names the flag, the value received and what is expected.
        """
        for field in dataclasses.fields(self):
            _check_field(field, getattr(self, field.name))
        if self.image_size != "auto":
            try:
                plan.plan_blocks(*plan.parse_size(self.image_size))
            except ValueError as error:
                raise UserError(f"--image_size: {error}. Received: {self.image_size!r}") from None
        try:
            ImageColor.getrgb(self.background)
        except ValueError:
            raise UserError(
                f"--background: expected a colour such as white, black or #ff8800. Received: {self.background!r}"
            ) from None
        for name in ("generator_filters", "discriminator_filters"):
            parse_filters(name, getattr(self, name))
        if self.architecture == "mlp":
            for name in ("upsampling", "kernel_size", "discriminator_head", "batchnorm_momentum"):
                default = Config.__dataclass_fields__[name].default
                if getattr(self, name) != default:
                    raise UserError(
                        f"--{name} means nothing to --architecture=mlp, which has no convolutions or BatchNorm. "
                        f"Received: {getattr(self, name)!r}; leave it out"
                    )
        folder_only = ("max_pixels", "max_bad_share", "background")
        for name in ("manual_dir",) if self.dataset == "folder" else folder_only:
            if getattr(self, name) != Config.__dataclass_fields__[name].default:
                raise UserError(
                    f"--{name} means nothing to --dataset={self.dataset}. Received: {getattr(self, name)!r}; "
                    "leave it out"
                )
        if self.jit_compile and self.upsampling == "bicubic":
            raise UserError("--jit_compile: XLA has no bicubic resizing. Use --upsampling=bilinear, or leave XLA out")


# Radford, Metz and Chintala 2015 (arXiv 1511.06434): kernels, widths, batch and Adam. The paper samples with the
# weights as they are, so there is no moving average.
_DCGAN_PAPER: dict[str, Any] = {
    "kernel_size": 5,
    "generator_filters": "128",
    "discriminator_filters": "64",
    "batch_size": 128,
    "learning_rate_generator": 2e-4,
    "learning_rate_discriminator": 2e-4,
    "ema_decay": 0.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    # Chosen for two CPU cores: digits that a person reads within a few minutes. The README shows its result.
    "default": {},
    # The paper's networks and hyper-parameters, on any data set.
    # python train.py --dataset=mnist --preset=dcgan
    "dcgan": _DCGAN_PAPER,
    # Goodfellow et al. 2014 (arXiv 1406.2661): the fully connected pair that DCGAN replaced. LeakyReLU and dropout
    # stand where the paper has maxout and dropout.
    # python train.py --dataset=mnist --preset=gan
    "gan": {
        "architecture": "mlp",
        "generator_filters": "256,512,1024",
        "discriminator_filters": "512,256",
        "dropout": 0.3,
        "learning_rate_generator": 2e-4,
        "learning_rate_discriminator": 2e-4,
    },
    # The data sets of the papers, with the paper's networks and hyper-parameters (it publishes one set for all).
    # python train.py --preset=fashion_mnist --manual_dir=FOLDER_WITH_THE_FOUR_FILES
    # Checked on the original files, without a network.
    "fashion_mnist": {**_DCGAN_PAPER, "dataset": "fashion_mnist", "image_size": "28", "epochs": 20.0},
    # python train.py --preset=cifar10
    # Checked on the same pictures as JPEG files: --preset=cifar10 --dataset=folder --data_dir=cifar10_jpeg
    "cifar10": {**_DCGAN_PAPER, "dataset": "cifar10", "image_size": "32", "epochs": 100.0},
    # python train.py --preset=svhn_cropped --split=train+extra
    # Checked with --dry_run only, for want of the data.
    "svhn_cropped": {**_DCGAN_PAPER, "dataset": "svhn_cropped", "image_size": "32", "epochs": 20.0},
    # The 108 pixels in the middle of the aligned pictures are the face.
    # python train.py --preset=celeb_a
    # Checked with --dry_run only, for want of the data.
    "celeb_a": {
        **_DCGAN_PAPER,
        "dataset": "celeb_a",
        "image_size": "64",
        "crop_size": 108,
        "epochs": 25.0,
    },
    # The paper shows samples after one epoch and after five.
    # python train.py --preset=lsun_bedroom
    # Checked with --dry_run only, for want of the data.
    "lsun_bedroom": {**_DCGAN_PAPER, "dataset": "lsun/bedroom", "image_size": "64", "epochs": 5.0},
}


def make_config(typed: dict[str, Any], base: Config | None = None) -> Config:
    """Builds a Config from what the user typed.

    Args:
        typed: field name -> value, only those that were typed.
        base: where the other fields come from, instead of the defaults: the configuration of a run that is resumed.

    Raises:
        UserError: an unknown preset, or a value that `Config.validate` refuses.
    """
    base = base or Config()
    preset = typed.get("preset", base.preset)
    if preset not in PRESETS:
        raise UserError(f"--preset: unknown preset {preset!r}. Expected one of: {', '.join(PRESETS)}")
    if "steps" in typed and typed.get("epochs"):
        raise UserError("--steps and --epochs both set the length of the run. Give one of them")
    preset_values = PRESETS[preset] if "preset" in typed else {}
    length = {"epochs": 0.0} if "steps" in typed else {}  # Of the preset, or of the run that is resumed
    config = dataclasses.replace(base, **{**preset_values, **typed, **length})
    config.validate()
    return config


def save_config(config: Config, path: pathlib.Path) -> None:
    """Writes the configuration as JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
    os.replace(temporary, path)


def load_config(path: pathlib.Path) -> Config:
    """Reads what `save_config` wrote.

    Raises:
        UserError: the file is not such a configuration.
    """
    try:
        values = json.loads(path.read_text())
        return Config(**{**values, "class_names": tuple(values.get("class_names", ()))})
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a configuration of this version of dcgan_tf: {error}") from None


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
            f"--{name}: expected a number from 1 to {MAXIMUM_FILTERS} such as 64, or several such as 256,128. "
            f"Received: {text!r}"
        )
    return filters


def _check_field(field: dataclasses.Field, value: Any) -> None:
    rules, expected = field.metadata, []
    if rules["choices"] and value not in rules["choices"]:
        expected.append(f"one of: {', '.join(rules['choices'])}")
    if not isinstance(value, (str, bool)):
        # Written as "not (value >= limit)" so that NaN, which compares false with everything, is refused too.
        if rules["minimum"] is not None and not (value >= rules["minimum"]):
            expected.append(f"at least {rules['minimum']}")
        if rules["above"] is not None and not (value > rules["above"]):
            expected.append(f"above {rules['above']}")
        if rules["maximum"] is not None and not (value <= rules["maximum"]):
            expected.append(f"at most {rules['maximum']}")
        if rules["below"] is not None and not (value < rules["below"]):
            expected.append(f"below {rules['below']}")
        if isinstance(value, float) and value == float("inf"):
            expected.append("a finite number")
    if expected:
        raise UserError(f"--{field.name}: expected {' and '.join(expected)}. Received: {value!r}")
