"""The exponential moving average of a generator's weights (arXiv 1806.04498)."""

import keras
import tensorflow as tf


def update_average(average: keras.Model, network: keras.Model, decay: float, step: tf.Tensor) -> None:
    """Moves the average toward the network. Call it once per train step.

    Args:
        average: A network with the same architecture, which holds the average.
        network: The network in training.
        decay: Share of the average that is kept, from 0 to below 1.
        step: int64 scalar, number of train steps done before this one.
    """
    # A smaller decay at first lets the average forget the initial weights sooner, which are random or those of a model
    # of other data.
    steps = tf.cast(step, tf.float32)
    share = 1.0 - tf.minimum(decay, (1 + steps) / (10 + steps))
    for mean, weight in zip(average.trainable_variables, network.trainable_variables, strict=True):
        if decay:
            mean.value.assign_sub(share * (mean.value - weight.value))
        else:
            mean.assign(weight)
    # BatchNorm's statistics already are moving averages.
    for mean, statistic in zip(average.non_trainable_variables, network.non_trainable_variables, strict=True):
        mean.assign(statistic)
