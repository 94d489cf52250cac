"""A few pictures of a data set to train on, and others to compare with."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dcgan_tf.config.making import make_config
from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY, open_array
from dcgan_tf.data.prepare import ImageData, prepare
from dcgan_tf.evaluation.classifier import load_or_train_classifier
from dcgan_tf.evaluation.features import (
    FeatureNetwork,
    classifier_network,
    compute_features,
    random_network,
    read_batches,
)
from dcgan_tf.evaluation.labeled import labeled_config, labeled_network
from dcgan_tf.evaluation.memorization import distance_ratio, images_to_search, nearest_training_images
from dcgan_tf.evaluation.splits import open_test_split
from dcgan_tf.generation.sampling import generate
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.training.devices import settle_precision
from dcgan_tf.training.gan import GAN

HELD_OUT = 5000  # Of a folder without a test split
MEMORIZATION_IMAGES = 1000


@dataclasses.dataclass(frozen=True)
class Pictures:
    """A data set, split in two.

    Attributes:
        config: Settings that name the data set and the size of its images.
        data: All images that training may use.
        training_rows: Their indices, in a fixed random order, so that the first N are the same in every run.
        held_out: Images that are never trained on, uint8 [N, height, width, channels].
        network: The network whose features are compared.
        held_out_features: Features of the held-out images, float32 [N, F].
    """

    config: Config
    data: ImageData
    training_rows: np.ndarray
    held_out: np.ndarray
    network: FeatureNetwork
    held_out_features: np.ndarray

    def distance(self, gan: GAN, samples: int) -> float:
        """The Frechet distance between images of the averaged generator and the held-out ones."""
        images = read_batches(lambda seeds: generate(gan.ema_generator, seeds), np.arange(samples))
        features = compute_features([self.network], images, samples, "generated")[self.network.name].values
        return frechet_distance(self.held_out_features, features)

    def memorization(self, gan: GAN, count: int) -> float:
        """The distance of generated images to the nearest training images, over that of held-out ones; 0 for copies."""
        read, rows = images_to_search(
            self.data.read, self.training_rows[:count], len(self.data.images), mirrored=gan.config.flip
        )

        def nearest(images: np.ndarray) -> np.ndarray:
            return nearest_training_images(images, read, rows, 1, "nearest training images").distances[:, 0]

        generated = generate(gan.ema_generator, range(MEMORIZATION_IMAGES))
        return distance_ratio(nearest(generated), nearest(self.held_out[:MEMORIZATION_IMAGES])).value

    def prepare_first(self, count: int, typed: dict[str, Any]) -> tuple[Config, ImageData]:
        """The first pictures as data to train on, and the settings of a training run on them.

        Training is in the precision of a normal run.
        """
        images = self.data.read(self.training_rows[:count])
        size = {"image_size": self.config.image_size, "channels": self.config.channels}
        config = make_config({"dataset": ARRAY, "cache_dir": self.config.cache_dir, **size, **typed})
        config, data = prepare(config, open_array(images))
        return settle_precision(config), data


def open_pictures(typed: dict[str, Any], samples: int, features_from: str = "") -> Pictures:
    """Opens a data set and computes the features of its held-out images.

    The held-out images are those of the test split. Without a test split, as in most folders, they are 5,000 images
    drawn at random, or a fifth of the images if there are fewer than 25,000. Features are those of a classifier: of
    `features_from` if given, else of the data set's own classes. Without either, they are those of convolutions with
    fixed random weights.

    Args:
        typed: Settings that name the data set.
        samples: Maximum number of held-out images to compare with.
        features_from: A labeled folder.
    """
    config, data = prepare(make_config(typed))
    order = np.random.default_rng(0).permutation(len(data.images))
    test = open_test_split(config)
    if test.is_held_out:
        read: Callable[[np.ndarray], np.ndarray] = test.data.read
        rows = np.random.default_rng(1).permutation(len(test.data.images))
    else:
        held_out = min(HELD_OUT, len(order) // 5)
        read, rows, order = data.read, order[-held_out:], order[:-held_out]
    if features_from:
        network = labeled_network(labeled_config(features_from, config), config.sample_shape)
    elif len(config.class_names) > 1:
        network = classifier_network(load_or_train_classifier(config), config.sample_shape)
    else:
        network = random_network(config.sample_shape)
    rows = rows[:samples]
    features = compute_features([network], read_batches(read, rows), len(rows), "held-out")[network.name].values
    return Pictures(config, data, order, read(rows), network, features)
