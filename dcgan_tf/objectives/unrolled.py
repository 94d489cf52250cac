"""Unrolled GAN (Metz et al. 2017, arXiv 1611.02163): the discriminator after future updates, as a function of G."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from dcgan_tf.distributed import replicas

Weights = list[tf.Tensor]


def adam_moments(optimizer: keras.optimizers.Adam) -> tuple[list[keras.Variable], list[keras.Variable]]:
    """Adam's first and second moments, each in the order of the weights."""
    # The variables are the iteration, the learning rate, and then the first and second moment of each weight in turn.
    moments = optimizer.variables[2:]
    return moments[0::2], moments[1::2]


def unroll(
    weights: Sequence[tf.Tensor],
    optimizer: keras.optimizers.Adam,
    loss: Callable[[Weights], tf.Tensor],
    steps: int,
) -> Weights:
    """The weights after virtual updates by Adam, starting from its current moments. No variable is changed.

    Under a gradient tape, the result is differentiable through each update, which involves the second derivatives of
    the loss.

    Args:
        weights: Weights to start from.
        optimizer: Adam, built for these weights.
        loss: Maps weights to the loss, or to this replica's part of it if there are several.
        steps: Number of virtual updates.

    Returns:
        The updated weights.
    """
    firsts, seconds = ([tf.convert_to_tensor(moment) for moment in moments] for moments in adam_moments(optimizer))
    done = tf.cast(optimizer.iterations, tf.float32)
    current = list(weights)
    for step in range(1, steps + 1):
        with tf.GradientTape() as tape:
            tape.watch(current)
            value = loss(current)
        gradients = replicas.total(tape.gradient(value, current))
        firsts = [optimizer.beta_1 * m + (1 - optimizer.beta_1) * g for m, g in zip(firsts, gradients, strict=True)]
        seconds = [
            optimizer.beta_2 * v + (1 - optimizer.beta_2) * tf.square(g)
            for v, g in zip(seconds, gradients, strict=True)
        ]
        correction = tf.sqrt(1 - optimizer.beta_2 ** (done + step)) / (1 - optimizer.beta_1 ** (done + step))
        rate = optimizer.learning_rate * correction
        # The root has no derivative at 0, which is the second moment of a weight that has never had a gradient.
        current = [
            w - rate * m / (tf.sqrt(tf.maximum(v, 1e-30)) + optimizer.epsilon)
            for w, m, v in zip(current, firsts, seconds, strict=True)
        ]
    return current
