"""The discriminator as a function that changes no variable."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.models.conditioning import with_labels


def virtual_logits(
    discriminator: keras.Model, classes: tf.Tensor | None
) -> Callable[[tf.Tensor, list[tf.Tensor]], tf.Tensor]:
    """Logits [N] as a function of images and weights, in training mode.

    It advances its own copy of the discriminator's state, so that each call draws new dropout masks and takes its step
    of power iteration, as a real call does.

    Args:
        discriminator: Its trainable variables give the weights their order.
        classes: int64 [N] of the images, or None.
    """
    state = [tf.convert_to_tensor(variable) for variable in discriminator.non_trainable_variables]

    def logits(seen: tf.Tensor, weights: list[tf.Tensor]) -> tf.Tensor:
        nonlocal state
        outputs, state = discriminator.stateless_call(weights, state, with_classes(seen, classes), training=True)
        return outputs[:, 0]

    return logits


def logits_apart(discriminator: keras.Model, classes: tf.Tensor | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Logits [N] of images by the weights as they are, through which gradients reach the variables."""
    logits = virtual_logits(discriminator, classes)
    weights = [tf.convert_to_tensor(variable) for variable in discriminator.trainable_variables]
    return lambda seen: logits(seen, weights)


def with_classes(seen: tf.Tensor, classes: tf.Tensor | None) -> Any:
    """What a discriminator takes: images [N, ...] and classes [N], or [N / 2] of real and fake images in one batch."""
    if classes is not None and seen.shape[0] == 2 * classes.shape[0]:
        classes = tf.concat([classes, classes], axis=0)
    return with_labels(seen, classes)
