"""The discriminator as a pure function that changes no variable."""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import tensorflow as tf

from dcgan_tf.models.conditioning import with_labels


class VirtualLogits(Protocol):
    """See `virtual_logits`."""

    def __call__(self, seen: tf.Tensor, weights: list[tf.Tensor], hold: bool = False) -> tf.Tensor: ...


def virtual_logits(discriminator: keras.Model, classes: tf.Tensor | None) -> VirtualLogits:
    """The discriminator's logits [N] as a function of images and weights, in training mode.

    The function advances its own copy of the discriminator's state, so each call draws new dropout masks and takes a
    step of power iteration, as a real call does. With ``hold=True``, gradients reach the images, but neither the
    weights nor the state.

    Args:
        discriminator: The network. Its trainable variables define the order of the weights.
        classes: Classes of the images, int64 [N], or None.
    """
    state = [tf.convert_to_tensor(variable) for variable in discriminator.non_trainable_variables]

    def logits(seen: tf.Tensor, weights: list[tf.Tensor], hold: bool = False) -> tf.Tensor:
        nonlocal state
        if hold:
            weights, state = ([tf.stop_gradient(value) for value in values] for values in (weights, state))
        outputs, state = discriminator.stateless_call(weights, state, with_classes(seen, classes), training=True)
        return outputs[:, 0]

    return logits


def logits_apart(discriminator: keras.Model, classes: tf.Tensor | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """The logits [N] of images with the current weights. Gradients reach the variables, but no state changes."""
    logits = virtual_logits(discriminator, classes)
    weights = [tf.convert_to_tensor(variable) for variable in discriminator.trainable_variables]
    return lambda seen: logits(seen, weights)


def with_classes(seen: tf.Tensor, classes: tf.Tensor | None) -> Any:
    """The input of a discriminator. ``classes`` are [N], or [N / 2] if real and fake images are in one batch."""
    if classes is not None and seen.shape[0] == 2 * classes.shape[0]:
        classes = tf.concat([classes, classes], axis=0)
    return with_labels(seen, classes)
