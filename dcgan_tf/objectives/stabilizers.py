"""Noise on the discriminator's inputs and targets, and schedules."""

import math
from collections.abc import Callable

import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.objectives import chance
from dcgan_tf.objectives.chance import subkey
from dcgan_tf.objectives.losses import Term

# An exponential decay never reaches 0; this is the remainder at which it counts as done.
EXPONENTIAL_REST = 0.01

# Name -> function that maps the completed share of the schedule (0 at its start, 1 or more after its end) to a factor.
DECAYS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "constant": tf.ones_like,
    "linear": lambda done: tf.maximum(0.0, 1 - done),
    "exponential": lambda done: tf.pow(EXPONENTIAL_REST, done),
    "cosine": lambda done: (1 + tf.cos(math.pi * tf.minimum(done, 1.0))) / 2,
}


def decay_factor(name: str, step: tf.Tensor, steps: int) -> tf.Tensor:
    """The factor of a schedule.

    It is 1 at step 0 and, except for ``constant``, reaches 0 (``exponential``: 0.01) at step ``steps``.

    Args:
        name: A key of `DECAYS`.
        step: int64 scalar.
        steps: Length of the schedule.

    Returns:
        float32 scalar.
    """
    return DECAYS[name](tf.cast(step, tf.float32) / max(steps, 1))


def add_instance_noise(images: tf.Tensor, config: Config, step: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Adds Gaussian noise that fades during training, so that the real and fake distributions overlap.

    This keeps D from becoming certain (Sønderby et al. 2017, arXiv 1610.04490; Arjovsky and Bottou 2017, arXiv
    1701.04862).

    Args:
        images: float32, real or fake.
        config: Gives the initial standard deviation, the schedule and its length.
        step: int64 scalar.
        key: int64 [2], the random key.

    Returns:
        float32 of the same shape.
    """
    deviation = config.instance_noise * decay_factor(config.instance_noise_decay, step, config.instance_noise_steps)
    return images + deviation * chance.normal(images.shape, key, parts=config.pack)


def real_targets(count: int, config: Config, key: tf.Tensor) -> tf.Tensor:
    """D's targets for real images: 1, minus label smoothing and noise, and flipped with a small probability.

    Smoothing is one-sided, as in section 3.4 of Salimans et al. 2016 (arXiv 1606.03498).

    Args:
        count: Number of images.
        config: Gives ``label_smoothing``, ``label_noise`` and ``label_flip``.
        key: int64 [2], the random key.

    Returns:
        float32 [count] in [0, 1].
    """
    return _flip(1 - config.label_smoothing - _noise(count, config, key), config, key)


def fake_targets(count: int, config: Config, key: tf.Tensor) -> tf.Tensor:
    """D's targets for fakes: 0, plus noise, and flipped with a small probability. There is no smoothing."""
    return _flip(_noise(count, config, key), config, key)


def mix_terms(targets: tf.Tensor, real_term: Term, fake_term: Term, logits: tf.Tensor) -> tf.Tensor:
    """The loss for targets between 0 (fake) and 1 (real).

    It is the mean of the two terms, weighted by the target. For cross-entropy, this is the usual loss with soft labels.
    For least squares, it is half the squared difference between logit and target, plus a number that does not depend
    on the logit.

    Args:
        targets, logits: float32 [N].
        real_term, fake_term: Terms of a `Loss`.

    Returns:
        float32 [N].
    """
    return targets * real_term(logits) + (1 - targets) * fake_term(logits)


def _noise(count: int, config: Config, key: tf.Tensor) -> tf.Tensor:
    return config.label_noise * chance.uniform([count], key)


def _flip(targets: tf.Tensor, config: Config, key: tf.Tensor) -> tf.Tensor:
    flipped = chance.uniform(targets.shape, subkey(key, 1)) < config.label_flip
    return tf.where(flipped, 1 - targets, targets)
