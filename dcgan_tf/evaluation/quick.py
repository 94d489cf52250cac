"""The measure that is taken during training, and by which the best checkpoint is found."""

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
from dcgan_tf.metrics.frechet import frechet_distance_of_moments, moments
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.pixels import to_uint8

GENERATED_IMAGES = 2000
REAL_IMAGES = 5000
# A covariance of fewer images than features is undetermined; below this many images there is no measure.
MIN_IMAGES = 200


class QuickEvaluation:
    """Frechet distance on features of random convolutions, between generated and training images.

    A classifier would see more, but must first be trained for minutes, and not all data have labels. This one is the
    same for every run, so a resumed run compares like with like.

    Args:
        generator: The averaged one, which is measured.
        config: Complete, of the run.
        data: The training images.
    """

    def __init__(self, generator: keras.Model, config: Config, data: ImageData) -> None:
        self._generator = generator
        self._network = random_network(config.sample_shape)
        images = spread_images(data, config, REAL_IMAGES)
        real = [self._network.function(tf.constant(part))[0].numpy() for part in images]
        self._real = moments(np.concatenate(real))
        key = [config.seed, tf.int64.max]  # No step of a training draws with it.
        self._latents = tf.random.stateless_normal((GENERATED_IMAGES, config.latent_dim), seed=key, alg="philox")
        # As many of each class as the data have.
        rows = np.arange(GENERATED_IMAGES) * len(data.labels) // GENERATED_IMAGES
        self._labels = tf.constant(data.labels[rows]) if config.label_count else None

    def measure(self) -> float:
        """The distance, always for the same latents."""
        fake = []
        for part in slices(GENERATED_IMAGES, IMAGES_PER_CALL):
            labels = None if self._labels is None else self._labels[part]
            fake.append(self._generate_features(self._latents[part], labels).numpy())
        return frechet_distance_of_moments(self._real, moments(np.concatenate(fake)))

    @tf.function
    def _generate_features(self, z: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        return self._network.function(to_uint8(self._generator(with_labels(z, labels), training=False)))[0]


def spread_images(data: ImageData | PointData, config: Config, count: int) -> Iterator[np.ndarray]:
    """Yields at most ``count`` training images from all over the data, as they are trained on, some at a time."""
    rows = spread_rows(len(data.images), count)
    for part in np.array_split(rows, -(-len(rows) // IMAGES_PER_CALL)):
        yield augment(data.read(part), config, 0)


def make_quick_evaluation(
    generator: keras.Model, config: Config, data: ImageData | PointData
) -> QuickEvaluation | None:
    """The evaluation of a run; None for points, where it is turned off, or where images are too few, which is said."""
    if not config.evaluate_every or isinstance(data, PointData):
        return None
    if len(data.images) < MIN_IMAGES:
        progress.logger.info(
            f"No evaluation during training: it takes at least {MIN_IMAGES} images, and here are {len(data.images)}."
        )
        return None
    return QuickEvaluation(generator, config, data)
