"""Penalties on the discriminator's gradient with respect to its input. A penalty is a vector, one value an image."""

from collections.abc import Callable

import tensorflow as tf

from dcgan_tf.distributed import replicas
from dcgan_tf.objectives import chance
from dcgan_tf.objectives.chance import subkey

Discriminate = Callable[[tf.Tensor], tf.Tensor]
Penalty = Callable[[Discriminate, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

# The paper perturbs real images by noise of a small deviation; half of their own is what its authors' code uses.
DRAGAN_SCALE = 0.5


def input_gradient_norms(discriminate: Discriminate, images: tf.Tensor) -> tf.Tensor:
    """The length of dD(x)/dx for each image.

    Args:
        discriminate: images [N, ...] -> logits [N]. No logit may depend on another image (no BatchNorm).
        images: float32 [N, ...].

    Returns:
        float32 [N].
    """
    return tf.sqrt(_squared_norms(discriminate, images) + 1e-12)  # The root has no derivative at 0.


def wgan_gp(discriminate: Discriminate, real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """(norm - 1)^2 at points on the line between a real and a fake image (Gulrajani et al. 2017, arXiv 1704.00028).

    Args:
        discriminate: images [N, ...] -> logits [N].
        real, fake: float32 [N, ...].
        key: int64 [2], of the chance.

    Returns:
        float32 [N].
    """
    share = _one_number_an_image(real, key)
    between = share * real + (1 - share) * fake
    return tf.square(input_gradient_norms(discriminate, between) - 1)


def dragan(discriminate: Discriminate, real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """(norm - 1)^2 at points around the real images (Kodali et al. 2017, arXiv 1705.07215). Arguments as `wgan_gp`."""
    noise = chance.uniform(real.shape, key, dtype=real.dtype)
    far = DRAGAN_SCALE * replicas.deviation(real) * noise
    share = _one_number_an_image(real, subkey(key, 1))
    return tf.square(input_gradient_norms(discriminate, real + share * far) - 1)


def r1(discriminate: Discriminate, real: tf.Tensor, fake: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """norm^2 / 2 at the real images (Mescheder et al. 2018, arXiv 1801.04406, equation 9). Arguments as `wgan_gp`."""
    return _squared_norms(discriminate, real) / 2


PENALTIES: dict[str, Penalty] = {"wgan_gp": wgan_gp, "r1": r1, "dragan": dragan}


def _squared_norms(discriminate: Discriminate, images: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminate(images)
    gradients = tape.gradient(logits, images)
    return tf.reduce_sum(tf.square(gradients), axis=list(range(1, gradients.shape.rank)))


def _one_number_an_image(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    return chance.uniform([images.shape[0], *[1] * (images.shape.rank - 1)], key, dtype=images.dtype)
