"""Batch and layer normalization with correct second derivatives; batch normalization is also faster than Keras's."""

from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.distributed import replicas
from dcgan_tf.models.registration import register, require_options


@register
class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalization, with fewer and larger operations in training.

    Keras computes mean, variance and result one after the other, each with at least one pass over all activations.
    This layer uses one operation forward and one backward. When synchronized, Keras sums over the replicas three times
    forward and twice backward; this layer does so once each. Its second derivatives, which unrolling needs, are correct
    with and without synchronization; Keras's are not.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        require_options(self, axis=-1, center=True, scale=True)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training:
            return super().call(inputs, training=training, mask=mask)
        is_fused = len(inputs.shape) == 4 and not self.synchronized
        outputs, mean, variance = (self._fused if is_fused else self._by_moments)(inputs)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _fused(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        return outputs, mean, variance * (count - 1) / count

    def _by_moments(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        values = tf.cast(inputs, self.variable_dtype)
        mean, variance = replicas.moments(values, list(range(len(inputs.shape) - 1)))
        return tf.cast(_standardize(self, values, mean, variance), inputs.dtype), mean, variance


@register
class LayerNorm(keras.layers.GroupNormalization):
    """Layer normalization of each image over all of its pixels and channels.

    Keras uses TensorFlow's `moments`, which treats the mean as a constant within the variance. The first derivative is
    then correct, but the second one, which a gradient penalty and unrolling need, is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"groups": 1, **options})
        require_options(self, groups=1, axis=-1, center=True, scale=True)

    def call(self, inputs: Any) -> Any:
        values = tf.cast(inputs, self.variable_dtype)
        axes = list(range(1, len(inputs.shape)))
        mean = tf.reduce_mean(values, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(values, mean), axes, keepdims=True)
        return tf.cast(_standardize(self, values, mean, variance), inputs.dtype)


def _standardize(layer: keras.Layer, values: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
    # Subtract the mean first: if it is large, the difference of two products would lose the significant digits.
    factor = tf.math.rsqrt(variance + layer.epsilon) * tf.convert_to_tensor(layer.gamma)
    return (values - mean) * factor + tf.convert_to_tensor(layer.beta)
