"""Stateless random draws, each a function of its key alone, whatever the number of replicas.

A replica draws the numbers of the whole global batch and takes those of its own rows.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dcgan_tf.distributed import replicas


def subkey(key: tf.Tensor, number: int) -> tf.Tensor:
    """A further independent key, for one purpose that draws more than once.

    Args:
        key: int64 [2]; the low 32 bits of its first half hold the seed.
        number: from 0 to 255; 0 is the key itself.

    Returns:
        int64 [2].
    """
    return key + tf.constant([number << 32, 0], tf.int64)


def normal(shape: Sequence[int], key: tf.Tensor, parts: int = 1) -> tf.Tensor:
    """Standard normal numbers.

    Args:
        shape: of the result: [rows on this replica, ...].
        key: int64 [2].
        parts: as in `replicas.share`.

    Returns:
        float32.
    """
    rows = tf.random.stateless_normal(_of_all_replicas(shape, 0), key, alg="philox")
    return replicas.share(rows, parts)


def uniform(
    shape: Sequence[int],
    key: tf.Tensor,
    minimum: float = 0,
    maximum: float = 1,
    *,
    dtype: Any = tf.float32,
    parts: int = 1,
    axis: int = 0,
) -> tf.Tensor:
    """Numbers from ``minimum`` to just below ``maximum``.

    Args:
        shape: of the result, with the rows on this replica at ``axis``.
        key: int64 [2].
        minimum, maximum: the range.
        dtype: of the result.
        parts, axis: as in `replicas.share`.
    """
    rows = tf.random.stateless_uniform(_of_all_replicas(shape, axis), key, minimum, maximum, dtype, alg="philox")
    return replicas.share(rows, parts, axis)


def _of_all_replicas(shape: Sequence[int], axis: int) -> list[int]:
    return [length * replicas.count() if place == axis else length for place, length in enumerate(shape)]
