"""Adversarial losses on logits. A term is a vector, one value an image: the train step averages over the batch."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Term = Callable[[tf.Tensor], tf.Tensor]


class Loss(NamedTuple):
    """The three terms of an adversarial game, each float32 [N] of logits [N], each to be minimized.

    Attributes:
        discriminator_real: of D's logits for real images.
        discriminator_fake: of D's logits for generated images.
        generator: of D's logits for generated images.
    """

    discriminator_real: Term
    discriminator_fake: Term
    generator: Term


# With D(x) = sigmoid(logit): -log D = softplus(-logit) and -log(1 - D) = softplus(logit), which neither overflows
# nor rounds to log(0), whatever the logit.
def _minus_log_real(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(-logits)


def _minus_log_fake(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(logits)


def _log_fake(logits: tf.Tensor) -> tf.Tensor:
    return -tf.nn.softplus(logits)


LOSSES: dict[str, Loss] = {
    # Goodfellow et al. 2014 (arXiv 1406.2661), section 3: G maximizes log D(G(z)), whose gradient is strong just
    # where D rejects the images.
    "non_saturating": Loss(_minus_log_real, _minus_log_fake, _minus_log_real),
    # The same paper, equation 1: G minimizes log(1 - D(G(z))). Its gradient vanishes where D is sure.
    "minimax": Loss(_minus_log_real, _minus_log_fake, _log_fake),
}
