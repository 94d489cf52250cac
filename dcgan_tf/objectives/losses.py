"""Adversarial losses on logits. A term is a vector with one value per image; the train step averages over the batch."""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dcgan_tf.distributed import replicas

Term = Callable[[tf.Tensor], tf.Tensor]
Relative = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Loss(NamedTuple):
    """The terms of an adversarial game. Each maps logits [N] to float32 [N] and is to be minimized.

    Attributes:
        discriminator_real: D's term for real images.
        discriminator_fake: D's term for generated images.
        generator: G's term for generated images.
        generator_real: G's term for real images, if its loss has one.
        relative: Maps the logits of real and fake images, each float32 [N], to relative ones, which replace them in all
            terms.
        undecided: The logit at which D considers real and fake equally likely; None if a logit has a meaning only
            relative to another one.
    """

    discriminator_real: Term
    discriminator_fake: Term
    generator: Term
    generator_real: Term | None = None
    relative: Relative | None = None
    undecided: float | None = None


# With D(x) = sigmoid(logit), -log D = softplus(-logit) and -log(1 - D) = softplus(logit). Softplus neither overflows
# nor rounds to log(0) for any logit.
def _minus_log_real(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(-logits)


def _minus_log_fake(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(logits)


def _log_fake(logits: tf.Tensor) -> tf.Tensor:
    return -tf.nn.softplus(logits)


def _square_to_one(logits: tf.Tensor) -> tf.Tensor:
    return tf.square(logits - 1) / 2


def _square_to_zero(logits: tf.Tensor) -> tf.Tensor:
    return tf.square(logits) / 2


def _hinge_real(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(1 - logits)


def _hinge_fake(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(1 + logits)


def _raise(logits: tf.Tensor) -> tf.Tensor:
    return -logits


def _lower(logits: tf.Tensor) -> tf.Tensor:
    return tf.identity(logits)


def _half_minus_log_real(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(-logits) / 2


def _half_minus_log_fake(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(logits) / 2


def relative_to_mean(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each logit minus the mean logit of the other kind over all replicas (arXiv 1807.00734).

    Args:
        real_logits, fake_logits: float32 [N].

    Returns:
        The relative logits of real and of fake images, each float32 [N].
    """
    return real_logits - replicas.mean(fake_logits), fake_logits - replicas.mean(real_logits)


def relative_to_partner(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each logit minus the logit of the image of the other kind in the same row (arXiv 2501.05441).

    Args:
        real_logits, fake_logits: float32 [N].

    Returns:
        The relative logits of real and of fake images, each float32 [N]; one is the negative of the other.
    """
    return real_logits - fake_logits, fake_logits - real_logits


LOSSES: dict[str, Loss] = {
    # Goodfellow et al. 2014 (arXiv 1406.2661), section 3: G maximizes log D(G(z)), whose gradient is strongest where D
    # rejects the images.
    "non_saturating": Loss(_minus_log_real, _minus_log_fake, _minus_log_real, undecided=0.0),
    # The same paper, equation 1: G minimizes log(1 - D(G(z))). Its gradient vanishes where D is sure.
    "minimax": Loss(_minus_log_real, _minus_log_fake, _log_fake, undecided=0.0),
    # Mao et al. 2017 (arXiv 1611.04076), equation 9: D's target is 1 for real and 0 for fake images; G's target is 1.
    "least_squares": Loss(_square_to_one, _square_to_zero, _square_to_one, undecided=0.5),
    # Lim and Ye 2017 (arXiv 1705.02894); with spectral normalization, Miyato et al. 2018 (arXiv 1802.05957),
    # equations 16 and 17: D ignores images on the correct side of the margin, and G's loss is linear.
    "hinge": Loss(_hinge_real, _hinge_fake, _raise, undecided=0.0),
    # Arjovsky et al. 2017 (arXiv 1701.07875), equation 2: the difference of D's means estimates a distance, so D
    # must be kept Lipschitz by clipping, a penalty or spectral normalization.
    "wasserstein": Loss(_raise, _lower, _raise),
    # Jolicoeur-Martineau 2018 (arXiv 1807.00734): D estimates how much more real an image looks than the average image
    # of the other kind. G's loss is D's with real and fake swapped.
    "relativistic_average": Loss(
        _minus_log_real, _minus_log_fake, _minus_log_real, generator_real=_minus_log_fake, relative=relative_to_mean
    ),
    # Huang et al. 2024 (arXiv 2501.05441), equation 1 with f(t) = -log(1 + exp(-t)): D tells which image of a pair is
    # real, and G tries to fool it. The term of a pair, softplus(-(D(x) - D(G(z)))), is split evenly into a term for
    # real and a term for fake images.
    "relativistic_pairing": Loss(
        _half_minus_log_real,
        _half_minus_log_fake,
        _half_minus_log_real,
        generator_real=_half_minus_log_fake,
        relative=relative_to_partner,
    ),
}

# The chance level of the discriminator's loss, at which it cannot tell real from fake, by the name of the loss. The
# Wasserstein loss is a distance without a scale and has no chance level.
CHANCE_LOSSES = {
    "non_saturating": 2 * math.log(2),
    "minimax": 2 * math.log(2),
    "least_squares": 0.25,
    "hinge": 2.0,
    "relativistic_average": 2 * math.log(2),
    "relativistic_pairing": math.log(2),
}
# Losses that are negative logarithms of probabilities.
LOSSES_IN_NATS = ("non_saturating", "minimax", "relativistic_average", "relativistic_pairing")
