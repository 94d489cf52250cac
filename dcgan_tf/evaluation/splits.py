"""The splits of real images that an evaluation uses."""

import contextlib
import dataclasses
import pathlib
import re

import numpy as np

from dcgan_tf.config.sections.data import OWN_PICTURES
from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY
from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.prepare import ImageData, find_passed_in, open_images, resolve
from dcgan_tf.data.sources import find_source
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.metrics.arrays import random_order

# The settings of a run that determine its images. Other settings are not passed on to another split: they would be
# checked, too, and might not fit it.
DATA_SETTINGS = (
    "dataset",
    "image_size",
    "channels",
    "crop",
    "crop_size",
    "background",
    "max_pixels",
    "max_side",
    "max_bad_share",
    "data_dir",
    "manual_dir",
    "cache_dir",
    "class_names",
    "data_rules",
)
HELD_OUT_SPLITS = ("test", "validation")


@dataclasses.dataclass(frozen=True)
class Split:
    """A part of a data set at the size of a run's images.

    Attributes:
        name: Name of the split in TFDS or in the folder.
        data: Its images and labels.
        is_held_out: False if the run was trained on these images, because there are no others.
    """

    name: str
    data: ImageData
    is_held_out: bool = True

    def describe(self) -> str:
        return self.name if self.is_held_out else f"{self.name} (the training images: none are held out)"


def open_split(config: Config, name: str) -> ImageData:
    """Opens a split of a run's data set, with center crops if training crops at random.

    Raises:
        UserError: There is no such split, it cannot be prepared, or it contains points.
    """
    if config.draws_points:
        raise UserError(f"`dataset={config.dataset}`: expected images. Feature networks do not take points")
    if config.dataset == ARRAY:
        if name != config.split:
            raise UnknownSplitError("images that a program passed in have no splits")
        return find_passed_in(config).centered(*config.height_and_width)
    settings = {setting: getattr(config, setting) for setting in DATA_SETTINGS}
    settings["crop"] = "center" if config.crop == "random" else config.crop
    config = dataclasses.replace(Config(), **settings, split=name)
    source = find_source(config)
    return open_images(resolve(config, source), source)


def open_test_split(config: Config) -> Split:
    """Opens ``test`` or else ``validation`` if the run was not trained on it; otherwise, the run's own split."""
    for name in HELD_OUT_SPLITS:
        with contextlib.suppress(UnknownSplitError):
            if not _trains_on(config, name):
                return Split(name, open_split(config, name))
    return Split(config.split, open_split(config, config.split), is_held_out=False)


def _trains_on(config: Config, name: str) -> bool:
    if config.dataset != "folder":
        # A split in TFDS notation, such as train+test[:50%]
        return not {name, "all"}.isdisjoint(re.findall(r"[A-Za-z]\w*", config.split))
    # Without a folder for the split, a run is trained on all of `data_dir`.
    trained, other = (
        find_folder(dataclasses.replace(config, split=split, data_digest="")).root.resolve()
        for split in (config.split, name)
    )
    return other.is_relative_to(trained) or trained.is_relative_to(other)


def dataset_name(config: Config) -> str:
    """A short name of the data set, such as ``mnist``, for the names of networks."""
    name = (
        pathlib.Path(config.data_dir).expanduser().resolve().name if config.dataset in OWN_PICTURES else config.dataset
    )
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


def spread_rows(count: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` of ``count`` rows, int64, evenly spread because data is often sorted by class."""
    return np.arange(min(count, wanted)) * count // min(count, wanted)


def random_rows(count: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` of ``count`` rows, int64, drawn at random but always the same."""
    return random_order(count, key=0)[:wanted]
