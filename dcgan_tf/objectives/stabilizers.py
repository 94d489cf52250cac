"""Noise on the discriminator's inputs and targets, and schedules over the training."""

import math
from collections.abc import Callable

import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.objectives import chance
from dcgan_tf.objectives.chance import subkey
from dcgan_tf.objectives.losses import Term

# An exponential decay never ends; this is what is left of it when it counts as done.
EXPONENTIAL_REST = 0.01

# share of the length done (0 at the start; 1 and more at the end) -> factor
DECAYS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "constant": tf.ones_like,
    "linear": lambda done: tf.maximum(0.0, 1 - done),
    "exponential": lambda done: tf.pow(EXPONENTIAL_REST, done),
    "cosine": lambda done: (1 + tf.cos(math.pi * tf.minimum(done, 1.0))) / 2,
}


def decay_factor(name: str, step: tf.Tensor, steps: int) -> tf.Tensor:
    """The factor of a schedule: 1 at step 0, 0 (exponential: 0.01) from step ``steps`` on.

    Args:
        name: a key of `DECAYS`.
        step: int64 scalar.
        steps: the schedule's length.

    Returns:
        float32 scalar.
    """
    return DECAYS[name](tf.cast(step, tf.float32) / max(steps, 1))


def add_instance_noise(images: tf.Tensor, config: Config, step: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Adds normal noise that fades over the training (Sønderby et al. 2017, arXiv 1610.04490; Arjovsky and Bottou
    2017, arXiv 1701.04862): with it the real and the fake distribution overlap, so D cannot become certain.

    Args:
        images: float32, real or fake.
        config: names the first deviation, the schedule and its length.
        step: int64 scalar.
        key: int64 [2], of the chance.

    Returns:
        float32 of the same shape.
    """
    deviation = config.instance_noise * decay_factor(config.instance_noise_decay, step, config.instance_noise_steps)
    return images + deviation * chance.normal(images.shape, key, parts=config.pack)


def real_targets(count: int, config: Config, key: tf.Tensor) -> tf.Tensor:
    """What D shall answer for each real image: 1, less the one-sided smoothing (Salimans et al. 2016, arXiv 1606.03498,
    section 3.4), less noise, and with a small probability the opposite.

    Args:
        count: images.
        config: ``label_smoothing``, ``label_noise``, ``label_flip``.
        key: int64 [2], of the chance.

    Returns:
        float32 [count] in [0, 1].
    """
    return _flip(1 - config.label_smoothing - _noise(count, config, key), config, key)


def fake_targets(count: int, config: Config, key: tf.Tensor) -> tf.Tensor:
    """What D shall answer for each fake: 0, plus noise, and at times the opposite; smoothing is one-sided."""
    return _flip(_noise(count, config, key), config, key)


def mix_terms(targets: tf.Tensor, real_term: Term, fake_term: Term, logits: tf.Tensor) -> tf.Tensor:
    """A loss with a target between 0 (fake) and 1 (real): cross-entropy with soft labels, or, for least squares, the
    square to the target but for a constant.

    Args:
        targets, logits: float32 [N].
        real_term, fake_term: of `Loss`.

    Returns:
        float32 [N].
    """
    return targets * real_term(logits) + (1 - targets) * fake_term(logits)


def _noise(count: int, config: Config, key: tf.Tensor) -> tf.Tensor:
    return config.label_noise * chance.uniform([count], key)


def _flip(targets: tf.Tensor, config: Config, key: tf.Tensor) -> tf.Tensor:
    flipped = chance.uniform(targets.shape, subkey(key, 1)) < config.label_flip
    return tf.where(flipped, 1 - targets, targets)
