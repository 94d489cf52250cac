"""The data on which a benchmark trains: the user's data, or noise in a file, which needs no data set."""

import contextlib
import math
import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import Recipe
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData, prepare, resolve, settle_length
from dcgan_tf.data.shards import HEADER_BYTES, plan_shards, write_header
from dcgan_tf.data.sources import find_source

SYNTHETIC_BYTES = 64 * 2**20
MAX_SYNTHETIC_IMAGES = 60_000
SYNTHETIC = "synthetic"


@contextlib.contextmanager
def open_workload(config: Config, *, synthetic: bool) -> Iterator[tuple[Config, ImageData | PointData]]:
    """Prepares the complete configuration and its data.

    Args:
        config: The settings as typed.
        synthetic: Whether to use noise of the data set's shape instead of its images, in a temporary file that is read
            like prepared data. It has no effect on points, which are generated anyway.

    Raises:
        UserError: The data set is unknown, or its images are needed and not available.
    """
    if not synthetic or config.draws_points:
        yield prepare(config)
        return
    config = resolve(config, find_source(config))
    with tempfile.TemporaryDirectory(prefix="dcgan_tf-benchmark-") as folder:
        data = make_synthetic_data(config, pathlib.Path(folder))
        yield settle_length(config, len(data.images)), data


def make_synthetic_data(config: Config, folder: pathlib.Path, count: int | None = None) -> ImageData:
    """Writes noise in the format of prepared data.

    Args:
        config: Settings without ``auto``.
        folder: Where ``images.npy`` is written.
        count: Number of images. None: at most 60,000 and 64 MiB, unless one step needs more.
    """
    recipe = Recipe.of(config)
    shape = (recipe.height, recipe.width, recipe.channels)
    if count is None:
        count = min(MAX_SYNTHETIC_IMAGES, SYNTHETIC_BYTES // math.prod(shape))
        count = max(count, config.batch_size * config.discriminator_steps)
    path = folder / "images.npy"
    write_header(path, (count, *shape))
    random = np.random.default_rng(config.seed)
    with open(path, "r+b") as rows:
        rows.seek(HEADER_BYTES)
        for shard in plan_shards(count, math.prod(shape)):
            rows.write(random.bytes((shard.stop - shard.first) * math.prod(shape)))
    labels = np.arange(count) % max(1, len(config.class_names))
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    file = open(path, "rb", buffering=0)
    return ImageData(images, labels, config.class_names, SYNTHETIC, 0, "", folder, file)
