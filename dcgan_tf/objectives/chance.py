"""Stateless random draws that depend only on their key, and not on the number of replicas.

Each replica draws the numbers of the whole global batch and uses those of its own rows.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dcgan_tf.distributed import replicas


def subkey(key: tf.Tensor, number: int) -> tf.Tensor:
    """Another independent key, for a purpose that draws more than once.

    Args:
        key: int64 [2]; the low 32 bits of its first half hold the seed.
        number: From 0 to 255; 0 gives the key itself.

    Returns:
        int64 [2].
    """
    return key + tf.constant([number << 32, 0], tf.int64)


def normal(shape: Sequence[int], key: tf.Tensor, parts: int = 1) -> tf.Tensor:
    """Draws standard normal numbers.

    Args:
        shape: Shape of the result: [rows on this replica, ...].
        key: int64 [2], the random key.
        parts: As in `replicas.share`.

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
    """Draws uniform numbers from ``minimum`` to just below ``maximum``.

    Args:
        shape: Shape of the result, with the rows on this replica at ``axis``.
        key: int64 [2], the random key.
        minimum, maximum: The range.
        dtype: Type of the result.
        parts, axis: As in `replicas.share`.
    """
    rows = tf.random.stateless_uniform(_of_all_replicas(shape, axis), key, minimum, maximum, dtype, alg="philox")
    return replicas.share(rows, parts, axis)


def _of_all_replicas(shape: Sequence[int], axis: int) -> list[int]:
    return [length * replicas.count() if place == axis else length for place, length in enumerate(shape)]
