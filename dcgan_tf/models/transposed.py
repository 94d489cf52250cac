"""A transposed convolution for the image layer that trains faster than TensorFlow's."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.models.registration import register, require_options

MAX_IMAGE_CHANNELS = 3  # With more channels, TensorFlow's own way is faster.


@register
class ImageConv2DTranspose(keras.layers.Conv2DTranspose):
    """A transposed convolution of stride 2 to few channels, with Keras's options.

    TensorFlow computes it as the input gradient of a convolution. In training, this layer instead applies a convolution
    that produces the four pixels of each 2x2 output block as channels, and then moves them to their places. For one
    channel on two CPU cores, TensorFlow's way took more than twice as long. The backward pass is TensorFlow's own,
    which is faster.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(
            self,
            strides=(2, 2),
            padding="same",
            output_padding=None,
            dilation_rate=(1, 1),
            data_format="channels_last",
            activation=keras.activations.linear,
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return super().call(inputs)
        outputs = upsample_by_convolution(inputs, self.kernel.value)
        return outputs + self.bias if self.use_bias else outputs


@tf.custom_gradient
def upsample_by_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Computes `tf.nn.conv2d_transpose` with stride 2 and SAME padding by an ordinary convolution.

    Args:
        x: float32 [N, height, width, in].
        kernel: float32 [side, side, out, in], with a side of at least 2.

    Returns:
        float32 [N, 2 height, 2 width, out].
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            tf.nn.conv2d(upstream, kernel, strides=2, padding="SAME"),
            tf.raw_ops.Conv2DBackpropFilter(
                input=upstream, filter_sizes=kernel.shape, out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
            ),
        )

    # Along one axis, the transposed convolution multiplies each input pixel p by the kernel, and adds the products to
    # the output, starting at output pixel 2 p - before. Here, before is the number of zeros that SAME padding puts in
    # front. So output pixel o is the sum over p of x[p] * kernel[o + before - 2 p].
    # Even and odd output pixels need separate kernels. Let o = 2 q + r, with r = 0 or 1, and p = q + d. The sum is
    # then over d, of x[q + d] * kernel[r + before - 2 d]. For each r, this is an ordinary convolution, whose kernel
    # consists of every second element of the original kernel, in reverse order. d ranges from last - length + 1 to
    # last.
    side, _, out, into = kernel.shape
    before = (side - 2) // 2
    last = -(-before // 2)
    front = 2 * last - before
    length = -(-(front + side) // 2)
    border, sides = [front, 2 * length - front - side], [length - 1 - last, last]
    padded = tf.pad(kernel, [border, border, [0, 0], [0, 0]])
    taps = tf.reverse(tf.reshape(padded, [length, 2, length, 2, out, into]), axis=[0, 2])
    taps = tf.reshape(tf.transpose(taps, [0, 2, 5, 1, 3, 4]), [length, length, into, 4 * out])
    pixels = tf.nn.conv2d(x, taps, strides=1, padding=[[0, 0], sides, sides, [0, 0]])
    return tf.nn.depth_to_space(pixels, 2), gradient
