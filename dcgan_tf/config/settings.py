"""All settings in one flat frozen dataclass, the single source of flags, help texts and checks."""

import dataclasses

from PIL import ImageColor

from dcgan_tf.config import plan
from dcgan_tf.config.checks import check_range, check_type
from dcgan_tf.config.sections.data import POINT_DATA_SETS, Data
from dcgan_tf.config.sections.length import Length
from dcgan_tf.config.sections.loop import Loop
from dcgan_tf.config.sections.networks import MAX_FILTERS, Networks
from dcgan_tf.config.sections.objective import AUGMENTATION_NAMES, Objective
from dcgan_tf.config.sections.option import option
from dcgan_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named combination of settings."""

    preset: str = option(
        "default", "Named combination of settings. Settings that you give yourself take precedence over it."
    )


# Heading -> section. The later a base class is listed in `Config`, the earlier its fields come.
SECTIONS = {
    "Preset": Preset,
    "Data": Data,
    "Length and randomness": Length,
    "Networks": Networks,
    "Objective and optimization": Objective,
    "The loop": Loop,
}


@dataclasses.dataclass(frozen=True)
class Config(Loop, Objective, Networks, Length, Data, Preset):
    """The settings of one run.

    Precedence, lowest first: the defaults, the preset, the needs of the data set (points need no convolutions), and
    what the user gives. docs/configuration.md describes every field.
    """

    def __post_init__(self) -> None:
        """Checks every field by itself.

        Raises:
            UserError: A value has the wrong type, exceeds its limits, or is unknown. The error carries the field.
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
        """The image's size in pixels, once ``image_size`` is no longer ``auto``."""
        return plan.parse_size(self.image_size)

    @property
    def draws_points(self) -> bool:
        """Whether the data set has points in the plane instead of images."""
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
        """The number of classes that the networks know; 0 for an unconditional run."""
        return len(self.class_names) if self.conditional else 0


def fields_by_section() -> dict[str, list[dataclasses.Field]]:
    """The fields that are flags, grouped by heading, in order."""
    return {
        heading: [field for field in dataclasses.fields(section) if field.metadata["flag"]]
        for heading, section in SECTIONS.items()
    }


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
        UserError: The text is not a list of positive whole numbers.
    """
    try:
        filters = tuple(int(item) for item in text.split(","))
    except ValueError:
        filters = ()
    if not filters or min(filters) < 1 or max(filters) > MAX_FILTERS:
        raise UserError(
            f"`{name}`: expected a number from 1 to {MAX_FILTERS} such as 64, or several such as 256,128. "
            f"Received: {text!r}",
            field=name,
        )
    return filters
