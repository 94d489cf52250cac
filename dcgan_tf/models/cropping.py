"""Cropping whose gradient is fast."""

from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.models.registration import register, require_options


@register
class Crop(keras.layers.Cropping2D):
    """Keras's Cropping2D, implemented by another operation.

    The gradient of Keras's strided slice writes the values one by one: 12 ms for 64 feature maps of 8x8x256 on one CPU
    core. The gradient of `tf.slice` is padding, which takes 0.8 ms.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(self, data_format="channels_last")

    def call(self, inputs: Any) -> Any:
        (top, bottom), (left, right) = self.cropping
        height, width = inputs.shape[1:3]
        return tf.slice(inputs, [0, top, left, 0], [-1, height - top - bottom, width - left - right, -1])
