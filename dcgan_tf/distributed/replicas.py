"""What one replica of a distributed train step needs from the others: sums, and its own rows of the global batch.

With a single replica, each function computes the same without any communication.
"""

from typing import Any

import tensorflow as tf


def count() -> int:
    """The number of replicas that train together, over all workers."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def total(values: Any) -> Any:
    """The sum of the values of all replicas, available on each of them. Differentiable.

    Args:
        values: A tensor, or a list of tensors, which is reduced in one operation.

    Returns:
        The sums, in the same structure.
    """
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of all elements on all replicas, as a scalar."""
    return total(tf.reduce_mean(values) / count()) if count() > 1 else tf.reduce_mean(values)


def deviation(values: tf.Tensor) -> tf.Tensor:
    """The standard deviation of all elements on all replicas, as a scalar."""
    if count() == 1:
        return tf.math.reduce_std(values)
    return tf.sqrt(mean(tf.square(values - mean(values))))


def moments(values: tf.Tensor, axes: list[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The mean and the variance over the axes and over all replicas, with correct derivatives of every order.

    `tf.nn.moments` treats the mean in the variance as a constant, so its second derivatives are wrong. The mean of the
    squares minus the square of the mean would also need just one sum, but it loses all digits if the mean is large.

    Args:
        values: A tensor with the same number of rows on each replica.
        axes: The axes to average over, including the batch.

    Returns:
        The mean and the variance, each without the axes.
    """
    own_mean = tf.reduce_mean(values, axes, keepdims=True)
    own_variance = tf.reduce_mean(tf.math.squared_difference(values, own_mean), axes)
    own_mean = tf.squeeze(own_mean, axes)
    if count() == 1:
        return own_mean, own_variance
    # A single sum gives every replica the moments of all, because each term is 0 in the places of the other replicas.
    place = tf.one_hot(_index(), count(), dtype=values.dtype)
    own = tf.stack([own_mean, own_variance])
    means, variances = tf.unstack(total(tf.tensordot(own, place, axes=0)))  # Each [..., replicas]
    average = tf.reduce_mean(means, axis=-1, keepdims=True)
    variance = tf.reduce_mean(variances + tf.square(means - average), axis=-1)
    return tf.squeeze(average, axis=-1), variance


def share(rows: tf.Tensor, parts: int = 1, axis: int = 0) -> tf.Tensor:
    """This replica's rows of the global batch.

    Args:
        rows: The global batch, [..., global batch, ...], of known shape.
        parts: Number of equal parts in the global batch, such as real and fake images. The replica gets its share of
            each.
        axis: The axis of the rows.

    Returns:
        [..., global batch / replicas, ...].
    """
    if count() == 1:
        return rows
    before, length, after = rows.shape[:axis], rows.shape[axis], rows.shape[axis + 1 :]
    grouped = tf.reshape(rows, [*before, parts, count(), length // parts // count(), *after])
    return tf.reshape(tf.gather(grouped, _index(), axis=axis + 1), [*before, length // count(), *after])


def _index() -> tf.Tensor:
    """The index of this replica."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group
