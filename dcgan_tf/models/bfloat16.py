"""Convolutions in bfloat16 whose gradients are fast on CPUs."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.models.registration import register, require_options
from dcgan_tf.models.transposed import MAX_IMAGE_CHANNELS, upsample_by_convolution

# Up to this many positions of the smaller feature map, TensorFlow's own kernel gradient is slower.
MAX_SWAPPED_POSITIONS = 64
Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Convolution:
    """One geometry of a convolution with SAME padding.

    Take the input x [N, height, width, in], the kernel [side, side, in, out], and an array y [N, rows, columns, out] of
    the output's shape. Multiply y with the convolution of x and the kernel, element by element, and add everything up.
    This sum is linear in each of the three. Its derivatives with respect to y, x and the kernel are the convolution,
    its gradient for the input, and its gradient for the kernel. So each of these three operations is differentiated
    by the other two, as often as needed.
    """

    def __init__(self, height: int, width: int, side: int, stride: int) -> None:
        self._size = height, width
        self._side = side
        self._stride = stride

    def forward(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The convolution: [N, rows, columns, out]."""

        @tf.custom_gradient
        def function(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
            y = tf.nn.conv2d(x, kernel, self._stride, "SAME")
            return y, lambda upstream: (self.backward(upstream, kernel), self.kernel_gradient(x, upstream))

        return function(x, kernel)

    def backward(self, y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The gradient for the input, which is also the transposed convolution: [N, height, width, in]."""

        @tf.custom_gradient
        def function(y: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
            x = self._upsample(y, kernel)
            return x, lambda upstream: (self.forward(upstream, kernel), self.kernel_gradient(upstream, y))

        return function(y, kernel)

    def kernel_gradient(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """The gradient for the kernel: [side, side, in, out]."""

        @tf.custom_gradient
        def function(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
            kernel = self._correlate(x, y)
            return kernel, lambda upstream: (self.backward(y, upstream), self.forward(x, upstream))

        return function(x, y)

    def _upsample(self, y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        rows, columns = y.shape[1:3]
        is_doubled = self._stride == 2 and self._size == (2 * rows, 2 * columns)
        if is_doubled and kernel.shape[2] <= MAX_IMAGE_CHANNELS:
            return upsample_by_convolution(y, kernel)
        return tf.nn.conv2d_transpose(y, kernel, [tf.shape(y)[0], *self._size, kernel.shape[2]], self._stride, "SAME")

    def _correlate(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        rows, columns = y.shape[1:3]
        if rows * columns > MAX_SWAPPED_POSITIONS:
            return tf.raw_ops.Conv2DBackpropFilter(
                input=x,
                filter_sizes=[self._side, self._side, x.shape[3], y.shape[3]],
                out_backprop=y,
                strides=[1, self._stride, self._stride, 1],
                padding="SAME",
            )
        # A convolution in which the images are the channels, the channels are the images, and y is the kernel.
        padding = [self._padding(size, count) for size, count in zip(self._size, (rows, columns), strict=True)]
        kernel = tf.nn.conv2d(
            tf.transpose(x, [3, 1, 2, 0]),
            tf.transpose(y, [1, 2, 0, 3]),
            strides=1,
            padding=[[0, 0], *padding, [0, 0]],
            dilations=self._stride,
        )
        return tf.transpose(kernel, [1, 2, 0, 3])

    def _padding(self, size: int, count: int) -> list[int]:
        """The padding of x along one axis with which `_correlate` returns a kernel of the right side.

        Args:
            size: Length of the axis in x.
            count: Length of the axis in y, which is the kernel of that convolution.

        Returns:
            The number of pixels before and after x.
        """
        covered = (count - 1) * self._stride
        before = max(covered + self._side - size, 0) // 2
        return [before, covered + self._side - size - before]


class OnCpu:
    """Shared by layers that use `Convolution` in bfloat16 on CPUs, and TensorFlow's operations otherwise."""

    def uses_own_gradients(self) -> bool:
        """Whether the layer computes in bfloat16 on CPUs, with one side and one stride along both axes."""
        is_bfloat16 = self.compute_dtype == "bfloat16"  # type: ignore[attr-defined]
        is_square = len({*self.kernel_size}) == len({*self.strides}) == 1  # type: ignore[attr-defined]
        on_cpu = all(device.device_type == "CPU" for device in tf.config.list_logical_devices())
        return is_bfloat16 and is_square and on_cpu


@register
class Conv2D(OnCpu, keras.layers.Conv2D):
    """A convolution with faster gradients in bfloat16 on CPUs.

    With oneDNN, TensorFlow computes the kernel's gradient in bfloat16 no faster than in float32, and on small feature
    maps more slowly. Computed as a convolution over the batch, it takes 0.35 to 0.8 times as long.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(self, padding="same", dilation_rate=(1, 1), groups=1, data_format="channels_last")

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Keras's hook for the convolution without bias."""
        if not self.uses_own_gradients():
            return super().convolution_op(inputs, kernel)
        height, width = inputs.shape[1:3]
        geometry = Convolution(height, width, self.kernel_size[0], self.strides[0])
        return geometry.forward(inputs, tf.convert_to_tensor(kernel))


@register
class Conv2DTranspose(OnCpu, keras.layers.Conv2DTranspose):
    """A transposed convolution with faster gradients in bfloat16 on CPUs, for the same reason as `Conv2D`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(
            self,
            padding="same",
            output_padding=None,
            dilation_rate=(1, 1),
            data_format="channels_last",
            activation=keras.activations.linear,
        )

    def call(self, inputs: Any) -> Any:
        if not self.uses_own_gradients():
            return super().call(inputs)
        stride = self.strides[0]
        height, width = (stride * size for size in inputs.shape[1:3])
        geometry = Convolution(height, width, self.kernel_size[0], stride)
        outputs = geometry.backward(inputs, tf.convert_to_tensor(self.kernel))
        return outputs + tf.cast(self.bias, outputs.dtype) if self.use_bias else outputs
