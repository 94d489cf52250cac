"""Five short trainings, one healthy and four that fail, with what the monitor says of each."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf.config import make_config
from dcgan_tf.data.batches import fixed_images, make_batches
from dcgan_tf.data.prepare import prepare
from dcgan_tf.diagnosis import Monitor
from dcgan_tf.gan import GAN
from dcgan_tf.sampling import GRID_SEEDS, monitored_samples, training_samples


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training left behind.

    Attributes:
        records: the scalars, one each ``log_every`` steps, with those of the monitor.
        sentences: of the monitor, in the order of the steps.
        samples: uint8 [64, height, width, channels], of the averaged generator at the end.
    """

    records: list[dict[str, float]]
    sentences: list[str]
    samples: np.ndarray


def train(typed: dict[str, Any]) -> Outcome:
    """Trains with the given settings and the monitor of a run, without writing one."""
    config, data = prepare(make_config(typed))
    gan = GAN(config)
    monitor = Monitor(config, fixed_images(data, config, len(GRID_SEEDS)))
    batches = iter(make_batches(data, config, 0, config.steps))
    records, sentences = [], []
    for step in range(config.log_every, config.steps + 1, config.log_every):
        metrics, _ = gan.train_steps(batches, tf.constant(config.log_every))
        values = {name: float(value) for name, value in metrics.items()}
        diagnosis, said = monitor.observe(step, values, monitored_samples(gan.ema_generator, config))
        records.append({"step": step, **values, **diagnosis})
        sentences += said
    return Outcome(records, sentences, training_samples(gan.ema_generator, config))
