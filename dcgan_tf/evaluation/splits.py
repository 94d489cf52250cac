"""The images that a run is measured against."""

import dataclasses
import pathlib
import re

import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData, prepare
from dcgan_tf.errors import UnknownSplitError, UserError


@dataclasses.dataclass(frozen=True)
class Split:
    """A part of a data set at the size of a run's images.

    Attributes:
        name: as TFDS or the folder calls it.
        data: its images and labels.
        is_held_out: false where the data set has no such part, and the training images stand in for it.
    """

    name: str
    data: ImageData
    is_held_out: bool = True

    def describe(self) -> str:
        return self.name if self.is_held_out else f"{self.name} (no other split exists)"


def open_split(config: Config, name: str) -> ImageData:
    """A split of a run's data set, cropped to the centre where training crops by chance.

    Raises:
        UserError: there is no such split, it cannot be prepared, or it holds points.
    """
    crop = "center" if config.crop == "random" else config.crop
    # A batch size and a length mean nothing here; the digest of the training images would not fit.
    config = dataclasses.replace(config, split=name, crop=crop, batch_size=2, epochs=0.0, data_digest="")
    data = prepare(config)[1]
    if isinstance(data, PointData):
        raise UserError(f"--dataset={config.dataset}: expected images. It holds points, which no feature network takes")
    return data


def open_test_split(config: Config) -> Split:
    """The split ``test``; else the one that the run was trained on, marked as not held out."""
    try:
        return Split("test", open_split(config, "test"))
    except UnknownSplitError:
        return Split(config.split, open_split(config, config.split), is_held_out=False)


def dataset_name(config: Config) -> str:
    """A short name of the data set, such as ``mnist``, for the names of networks."""
    name = pathlib.Path(config.data_dir).expanduser().resolve().name if config.dataset == "folder" else config.dataset
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


def spread_rows(count: int, wanted: int) -> np.ndarray:
    """Rows int64 of at most ``wanted`` of ``count`` images, evenly spread: data are often sorted by class."""
    return np.arange(min(count, wanted)) * count // min(count, wanted)
