"""Penalties on D's gradient with respect to its input. A penalty is a vector with one value per image."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dcgan_tf.distributed import replicas
from dcgan_tf.objectives import chance
from dcgan_tf.objectives.chance import subkey

Discriminate = Callable[[tf.Tensor], tf.Tensor]

# The paper perturbs real images by noise with a small standard deviation. Its authors' code uses half of the images'
# own standard deviation.
DRAGAN_SCALE = 0.5


class Penalty(NamedTuple):
    """The points at which a penalty evaluates D's gradient, and its function of the gradient's length.

    Attributes:
        points: Maps real and fake images, float32 [N, ...], and a random key, int64 [2], to batches of points, each
            images [N, ...]: two batches if both kinds are penalized, and otherwise one. It may sum over the replicas.
        terms: Maps the squared lengths of the gradients at these points to the penalties.
    """

    points: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]
    terms: Callable[[tf.Tensor], tf.Tensor]


def squared_gradient_norms(discriminate: Discriminate, images: tf.Tensor) -> tf.Tensor:
    """The squared length of the gradient with respect to each image.

    Args:
        discriminate: Maps images [N, ...] to logits [N].
        images: float32 [N, ...].

    Returns:
        float32 [N], the squared length of dD(x)/dx if no logit depends on another image. With BatchNorm in D, it is
        that of the derivative of the sum of the batch's logits.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminate(images)
    gradients = tape.gradient(logits, images)
    return tf.reduce_sum(tf.square(gradients), axis=list(range(1, gradients.shape.rank)))


def _between(real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
    share = _one_number_per_image(real, key)
    return (share * real + (1 - share) * fake,)


def _around_real(real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
    noise = chance.uniform(real.shape, key, dtype=real.dtype)
    far = DRAGAN_SCALE * replicas.deviation(real) * noise
    return (real + _one_number_per_image(real, subkey(key, 1)) * far,)


def _at_real(real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return (real,)


def _at_both(real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return real, fake


def _square_to_one(squared_norms: tf.Tensor) -> tf.Tensor:
    return tf.square(tf.sqrt(squared_norms + 1e-12) - 1)  # 1e-12, because the root has no derivative at 0.


def _half(squared_norms: tf.Tensor) -> tf.Tensor:
    return squared_norms / 2


def _one_number_per_image(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    return chance.uniform([images.shape[0], *[1] * (images.shape.rank - 1)], key, dtype=images.dtype)


PENALTIES: dict[str, Penalty] = {
    # Gulrajani et al. 2017 (arXiv 1704.00028): (norm - 1)^2 at points on the line between a real and a fake image.
    "wgan_gp": Penalty(_between, _square_to_one),
    # Mescheder et al. 2018 (arXiv 1801.04406), equation 9: norm^2 / 2 at the real images.
    "r1": Penalty(_at_real, _half),
    # Huang et al. 2024 (arXiv 2501.05441), section 2.2: R1, plus the same at the fake images (R2).
    "r1_r2": Penalty(_at_both, _half),
    # Kodali et al. 2017 (arXiv 1705.07215): (norm - 1)^2 at points around the real images.
    "dragan": Penalty(_around_real, _square_to_one),
}
