"""Keys of stateless random draws."""

import tensorflow as tf


def subkey(key: tf.Tensor, number: int) -> tf.Tensor:
    """A further independent key, for one purpose that draws more than once.

    Args:
        key: int64 [2]; the low 32 bits of its first half hold the seed.
        number: from 0 to 255; 0 is the key itself.

    Returns:
        int64 [2].
    """
    return key + tf.constant([number << 32, 0], tf.int64)
