"""Conversion between images in files, uint8 0..255, and in networks, float32 -1..1."""

import tensorflow as tf


def to_float(samples: tf.Tensor) -> tf.Tensor:
    """Converts images uint8 0..255 to float32 -1..1. Points, which are float32 already, are unchanged."""
    return tf.cast(samples, tf.float32) / 127.5 - 1.0 if tf.as_dtype(samples.dtype) == tf.uint8 else samples


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Converts float -1..1 to uint8 0..255, rounded to the nearest gray level."""
    return tf.cast(tf.round((tf.clip_by_value(images, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)


def to_samples(outputs: tf.Tensor) -> tf.Tensor:
    """Converts a generator's outputs to the format of the data.

    Images become uint8 [N, height, width, channels]. Points are unchanged.
    """
    return to_uint8(outputs) if outputs.shape.rank == 4 else outputs


def to_gray(images: tf.Tensor) -> tf.Tensor:
    """Converts RGB uint8 [N, height, width, 3] to gray uint8 [N, height, width, 1].

    The result is the luma of ITU-R 601, bit for bit as Pillow converts the pictures of a data set.
    """
    weights = tf.constant([19595, 38470, 7471])  # Of 65,536
    luma = tf.reduce_sum(tf.cast(images, tf.int32) * weights, axis=-1, keepdims=True)
    return tf.cast((luma + 32768) // 65536, tf.uint8)
