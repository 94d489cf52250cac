"""Short training runs without a run folder, for figures that need partly trained networks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf.config.making import make_config
from dcgan_tf.data.batches import fixed_images, make_batches
from dcgan_tf.data.prepare import prepare
from dcgan_tf.generation.sampling import GRID_SEEDS
from dcgan_tf.training.gan import GAN


def train(typed: dict[str, Any]) -> Iterator[tuple[GAN, dict[str, float], np.ndarray]]:
    """Trains with the given settings, and yields every ``log_every`` steps.

    Args:
        typed: Settings by name, as given by flags. ``steps`` must be a multiple of ``log_every``.

    Yields:
        The current networks, the mean scalars of the steps since the last yield, and some real images uint8.
    """
    config, data = prepare(make_config(typed))
    gan = GAN(config)
    real_images = fixed_images(data, config, len(GRID_SEEDS))
    batches = iter(make_batches(data, config, 0, config.steps))
    for _ in range(config.steps // config.log_every):
        metrics, _ = gan.train_steps(batches, tf.constant(config.log_every))
        yield gan, {name: float(value) for name, value in metrics.items()}, real_images
