"""Minibatch standard deviation (Karras et al. 2018, arXiv 1710.10196, section 3): D sees how diverse a batch is."""

from typing import Any

import keras

from dcgan_tf.distributed import replicas
from dcgan_tf.models.registration import register


@register
class MinibatchStddev(keras.layers.Layer):
    """Appends a constant feature map: the standard deviation over the batch, averaged over all features.

    It reveals a collapsed batch. After training, each image must be judged by itself, so a moving average replaces the
    batch's number, as in BatchNorm.

    Args:
        momentum: Momentum of the moving average.
    """

    def __init__(self, momentum: float, **options: Any) -> None:
        super().__init__(**options)
        self.momentum = momentum

    def get_config(self) -> dict[str, Any]:
        """The arguments of the layer, for saving."""
        return super().get_config() | {"momentum": self.momentum}

    def build(self, input_shape: Any) -> None:
        self.moving_stddev = self.add_weight(shape=(), initializer="zeros", trainable=False, name="moving_stddev")

    def call(self, inputs: Any, training: bool = False) -> Any:
        ops = keras.ops
        inputs = ops.cast(inputs, self.variable_dtype)
        value = ops.convert_to_tensor(self.moving_stddev)
        if training:
            # 1e-8, because the root has no derivative at 0, which occurs if all images of the batch are the same.
            value = ops.mean(ops.sqrt(replicas.moments(inputs, [0])[1] + 1e-8))
            self.moving_stddev.assign(
                self.momentum * self.moving_stddev + (1 - self.momentum) * ops.stop_gradient(value)
            )
        extra = ops.broadcast_to(value, (*ops.shape(inputs)[:-1], 1))
        return ops.concatenate([inputs, extra], axis=-1)
