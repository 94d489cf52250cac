"""Nearest-neighbor upsampling and a convolution, computed as one transposed convolution."""

from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.models.bfloat16 import Convolution, OnCpu
from dcgan_tf.models.registration import register, require_options
from dcgan_tf.models.transposed import MAX_IMAGE_CHANNELS, upsample_by_convolution


@register
class NearestConv2D(OnCpu, keras.layers.Conv2D):
    """Doubles height and width by repeating each pixel, then applies a convolution of stride 1.

    It has the options and weights of the convolution. A kernel that passes over repeated pixels multiplies each pixel
    by sums of neighboring weights. So the layer computes the transposed convolution with these sums. It needs a third
    to three fifths of the arithmetic, and no enlarged copy of its input: kernels of side 3 cost as much as a transposed
    convolution with kernels of side 4.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(
            self,
            kernel_size=self.kernel_size[:1] * 2,
            strides=(1, 1),
            padding="same",
            dilation_rate=(1, 1),
            groups=1,
            data_format="channels_last",
            activation=keras.activations.linear,
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        kernel = sum_neighbors(tf.convert_to_tensor(self.kernel))
        height, width = (2 * size for size in inputs.shape[1:3])
        if self.uses_own_gradients():
            outputs = Convolution(height, width, kernel.shape[0], 2).backward(inputs, kernel)
        elif training and self.filters <= MAX_IMAGE_CHANNELS:
            outputs = upsample_by_convolution(inputs, kernel)
        else:
            size = [tf.shape(inputs)[0], height, width, self.filters]
            outputs = tf.nn.conv2d_transpose(inputs, kernel, size, 2, "SAME")
        return outputs + tf.cast(self.bias, outputs.dtype) if self.use_bias else outputs

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the output: [N, 2 height, 2 width, filters]."""
        return (input_shape[0], 2 * input_shape[1], 2 * input_shape[2], self.filters)


def transposed_side(side: int) -> int:
    """The side of the transposed convolution's kernel, for a convolution with kernels of this side."""
    return 2 * (side // 2 + 1)


def sum_neighbors(kernel: tf.Tensor) -> tf.Tensor:
    """The kernel of the transposed convolution of stride 2 that equals repeating pixels and a convolution.

    Along one axis, the repeated pixels are at 2 p and 2 p + 1 for input pixel p. Output pixel o of the convolution is
    the sum over a of kernel[a] times the repeated pixel at o + a - before, where before = (side - 1) // 2 is the number
    of zeros that SAME padding puts in front. So input pixel p is multiplied by kernel[a] for two values of a, which are
    2 p + before - o and the next one. A transposed convolution multiplies it by element o + front - 2 p of its kernel,
    where front is set by SAME padding. With front = side - 1 - before, this element s is the sum of the elements s and
    s - 1 of the reversed kernel. SAME padding has this front if the transposed kernel's side is `transposed_side`, so
    the sums of a kernel of even side are padded with a zero.

    Args:
        kernel: [side, side, in, out].

    Returns:
        [transposed_side, transposed_side, out, in].
    """
    zeros = transposed_side(kernel.shape[0]) - kernel.shape[0] - 1
    sums = tf.transpose(kernel, [0, 1, 3, 2])
    for axis in (0, 1):
        after, before = [[0, 0]] * 4, [[0, 0]] * 4
        after[axis], before[axis] = [0, 1 + zeros], [1, zeros]
        sums = tf.reverse(sums, [axis])  # OpenVINO does not read a reversal of two axes.
        sums = tf.pad(sums, after) + tf.pad(sums, before)
    return sums
