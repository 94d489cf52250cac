"""One side of an evaluation: a set of images, whose features are computed for any network."""

import dataclasses
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import ImageData
from dcgan_tf.evaluation.features import (
    DISCRIMINATOR,
    IMAGES_PER_CALL,
    FeatureNetwork,
    Features,
    cached_features,
    compute_features,
    read_batches,
)
from dcgan_tf.generation.sampling import ROWS_PER_CALL, generate

GENERATED_AT_ONCE = 8 * ROWS_PER_CALL


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order: rows of prepared data, or the images of seeds.

    Attributes:
        name: What the images are, for the protocol.
        shape: (height, width, channels).
        rows: int64 [images], the rows to pass to ``read``.
        read: Maps rows to images uint8 [rows, height, width, channels].
        labels: int64 [images], the class of each image; None if there are none.
        class_names: Names of the classes; empty if there are none.
        digest: Digest of the data that the rows belong to; empty for a generator, whose features are not cached.
        cache: Folder of the cached features; None for a generator.
        config: Settings that open the data again, on which a classifier can be trained; None for a generator.
        at_once: Number of images that are read at a time.
    """

    name: str
    shape: tuple[int, ...]
    rows: np.ndarray
    read: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    digest: str = ""
    cache: pathlib.Path | None = None
    config: Config | None = None
    at_once: int = IMAGES_PER_CALL

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of_data(
        cls, data: ImageData, rows: np.ndarray, cache: pathlib.Path, *, name: str = "", config: Config | None = None
    ) -> "ImageSet":
        """Rows of prepared data.

        Args:
            data: The data.
            rows: int64, the rows.
            cache: Folder of the cached features.
            name: What the images are; by default the source of the data.
            config: Settings that open the data again.
        """
        labels = data.labels[rows] if data.class_names and data.labels.min() >= 0 else None
        names = data.class_names if labels is not None else ()
        shape = data.read(rows[:1]).shape[1:]
        return cls(name or data.source, shape, rows, data.read, labels, names, data.digest, cache, config)

    @classmethod
    def of_generator(
        cls, generator: keras.Model, config: Config, seed: int, count: int, labels: np.ndarray | None, name: str
    ) -> "ImageSet":
        """The images of the seeds from ``seed`` on.

        Args:
            generator: A generator network.
            config: The settings of its training.
            seed: The first seed.
            count: Number of images.
            labels: int64 [count], for a conditional generator only.
            name: What the generator is.
        """

        def read(rows: np.ndarray) -> np.ndarray:
            return generate(generator, seed + rows, None if labels is None else labels[rows])

        names = config.class_names if labels is not None else ()
        rows = np.arange(count)
        return cls(name, config.sample_shape, rows, read, labels, names, at_once=GENERATED_AT_ONCE)

    def features(self, networks: list[FeatureNetwork], description: str) -> dict[str, Features]:
        """The features of all images by the name of the network. Those of files are computed once and then cached.

        Args:
            networks: Networks with different names.
            description: Text of the progress bar.

        Raises:
            UserError: Features are not finite.
        """
        found = {}
        remaining = []
        for network in networks:
            # Features of a discriminator belong to a single checkpoint, so caching them is not worthwhile.
            if self.cache is None or network.name == DISCRIMINATOR:
                remaining.append(network)
                continue
            text = f"{network.name}, {description}"
            found[network.name] = cached_features(network, self.read, self.rows, self.digest, self.cache, text)
        if remaining:
            batches = read_batches(self.read, self.rows, self.at_once)
            found |= compute_features(remaining, batches, len(self), description)
        return found
