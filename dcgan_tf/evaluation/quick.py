"""The quick evaluation during training, which determines the best checkpoint."""

import functools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.batches import augment
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData
from dcgan_tf.evaluation.features import IMAGES_PER_CALL, random_network
from dcgan_tf.evaluation.splits import spread_rows
from dcgan_tf.metrics.arrays import slices
from dcgan_tf.metrics.frechet import Moments, frechet_distance_of_moments, moments
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.pixels import to_uint8

GENERATED_IMAGES = 2000
REAL_IMAGES = 5000
# With fewer images than features, a covariance is undetermined. There is no quick evaluation below this many images.
MIN_IMAGES = 200


class QuickEvaluation:
    """Frechet distance between generated and training images on features of random convolutions.

    A classifier would see more, but would have to be trained for minutes, and not all data has labels. The random
    network is the same for every run, so the values of a resumed run are comparable.

    Args:
        generator: The averaged generator, which is evaluated.
        config: The complete configuration of the run.
        data: The training images.
    """

    def __init__(self, generator: keras.Model, config: Config, data: ImageData) -> None:
        self._generator = generator
        self._network = random_network(config.sample_shape)
        self._real_images = functools.partial(spread_images, data, config, REAL_IMAGES)
        key = [config.seed, tf.int64.max]  # No train step uses this key.
        self._latents = tf.random.stateless_normal((GENERATED_IMAGES, config.latent_dim), seed=key, alg="philox")
        # The classes are as frequent as in the data.
        rows = np.arange(GENERATED_IMAGES) * len(data.labels) // GENERATED_IMAGES
        self._labels = tf.constant(data.labels[rows]) if config.label_count else None

    def measure(self) -> float:
        """Computes the distance, always for the same latents."""
        fake = []
        for part in slices(GENERATED_IMAGES, IMAGES_PER_CALL):
            labels = None if self._labels is None else self._labels[part]
            fake.append(self._generate_features(self._latents[part], labels).numpy())
        return frechet_distance_of_moments(self._real, moments(np.concatenate(fake)))

    @functools.cached_property  # Computed by the first evaluation, so that training starts sooner.
    def _real(self) -> Moments:
        return moments(
            np.concatenate([self._network.function(tf.constant(part))[0].numpy() for part in self._real_images()])
        )

    @tf.function
    def _generate_features(self, z: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        return self._network.function(to_uint8(self._generator(with_labels(z, labels), training=False)))[0]


def spread_images(data: ImageData | PointData, config: Config, count: int) -> Iterator[np.ndarray]:
    """Yields batches with at most ``count`` training images in all, evenly spread over the data and augmented."""
    rows = spread_rows(len(data.images), count)
    for part in np.array_split(rows, -(-len(rows) // IMAGES_PER_CALL)):
        yield augment(data.read(part), config, 0)


def make_quick_evaluation(
    generator: keras.Model, config: Config, data: ImageData | PointData
) -> QuickEvaluation | None:
    """Makes the quick evaluation of a run. Returns None for points, if it is turned off, or for too few images."""
    if not config.evaluate_every or isinstance(data, PointData):
        return None
    if len(data.images) < MIN_IMAGES:
        progress.logger.info(
            f"There is no evaluation during training: it needs at least {MIN_IMAGES} images, and there are "
            f"{len(data.images)}."
        )
        return None
    return QuickEvaluation(generator, config, data)
