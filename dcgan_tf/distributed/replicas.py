"""What one replica of a distributed train step needs of the others: sums, and its own rows of the global batch.

Where there is one replica, each function is what its name says without any communication.
"""

from typing import Any

import tensorflow as tf


def count() -> int:
    """Replicas that train together, over all workers."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def total(values: Any) -> Any:
    """The sum of the values that the replicas hold, on each of them. Differentiable.

    Args:
        values: a tensor, or a list of tensors, which is reduced in one piece.

    Returns:
        The same structure.
    """
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of all elements on all replicas: a scalar."""
    return total(tf.reduce_mean(values) / count()) if count() > 1 else tf.reduce_mean(values)


def deviation(values: tf.Tensor) -> tf.Tensor:
    """The standard deviation of all elements on all replicas: a scalar."""
    if count() == 1:
        return tf.math.reduce_std(values)
    return tf.sqrt(mean(tf.square(values - mean(values))))


def variance_over_batch(values: tf.Tensor) -> tf.Tensor:
    """The variance over the rows [N, ...] of all replicas: [...]."""
    if count() == 1:
        return tf.math.reduce_variance(values, axis=0)
    average = total(tf.reduce_mean(values, axis=0) / count())
    return total(tf.reduce_mean(tf.square(values - average), axis=0) / count())


def share(rows: tf.Tensor, parts: int = 1, axis: int = 0) -> tf.Tensor:
    """This replica's rows out of the global batch's.

    Args:
        rows: [..., global batch, ...], of known shape.
        parts: equal parts that the global batch consists of, such as real and fake images; the replica has its share
            of each.
        axis: which one counts the rows.

    Returns:
        [..., global batch / replicas, ...].
    """
    if count() == 1:
        return rows
    before, length, after = rows.shape[:axis], rows.shape[axis], rows.shape[axis + 1 :]
    grouped = tf.reshape(rows, [*before, parts, count(), length // parts // count(), *after])
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.reshape(tf.gather(grouped, replica, axis=axis + 1), [*before, length // count(), *after])
