"""Convolutions with gradients of their own: the same values as TensorFlow's, by other operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.bfloat16 import Conv2D, Conv2DTranspose, Convolution
from dcgan_tf.models.cropping import Crop

RANDOM = np.random.default_rng(0)
# Height, width, channels in and out, side of the kernel, stride. The first ones reach the product over the batch, the
# fourth the phases of few channels, and the last ones TensorFlow's operations.
GEOMETRIES = [
    (7, 6, 4, 5, 4, 2),
    (8, 8, 4, 5, 3, 2),
    (4, 4, 4, 3, 7, 2),
    (16, 12, 1, 5, 4, 2),
    (7, 7, 3, 4, 5, 1),
    (9, 8, 3, 4, 5, 2),
    (20, 20, 4, 3, 4, 2),
    (12, 12, 4, 3, 3, 1),
]


def values_to_second_order(function, *arguments):
    """The value, and a first and a second derivative for each argument."""
    with tf.GradientTape() as outer:
        outer.watch(arguments)
        with tf.GradientTape() as inner:
            inner.watch(arguments)
            value = function(*arguments)
            scalar = tf.reduce_sum(tf.sin(value))
        first = inner.gradient(scalar, arguments)
        of_first = tf.add_n([tf.reduce_sum(tf.cos(each)) for each in first])
    return [value, *first, *outer.gradient(of_first, arguments)]


@pytest.mark.parametrize(("height", "width", "into", "out", "side", "stride"), GEOMETRIES)
def test_all_three_forms_and_their_derivatives_are_tensorflows(height, width, into, out, side, stride):
    convolution = Convolution(height, width, side, stride)
    x = tf.constant(RANDOM.normal(size=(3, height, width, into)))
    kernel = tf.constant(RANDOM.normal(size=(side, side, into, out)))
    y = tf.nn.conv2d(x, kernel, stride, "SAME")
    pairs = [
        (convolution.forward, lambda x, kernel: tf.nn.conv2d(x, kernel, stride, "SAME"), (x, kernel)),
        (
            convolution.backward,
            lambda y, kernel: tf.nn.conv2d_transpose(y, kernel, x.shape, stride, "SAME"),
            (y, kernel),
        ),
        (
            convolution.kernel_gradient,
            lambda x, y: tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel.shape, out_backprop=y, strides=[1, stride, stride, 1], padding="SAME"
            ),
            (x, y),
        ),
    ]
    for ours, theirs, arguments in pairs:
        for our, their in zip(
            values_to_second_order(ours, *arguments), values_to_second_order(theirs, *arguments), strict=True
        ):
            np.testing.assert_allclose(our, their, rtol=1e-9, atol=1e-9 * np.abs(their).max())


@pytest.mark.parametrize(
    ("ours", "keras_layer"),
    [(Conv2D, keras.layers.Conv2D), (Conv2DTranspose, keras.layers.Conv2DTranspose)],
)
def test_layers_keep_keras_in_float32_and_replace_its_slow_gradients_in_bfloat16(ours, keras_layer):
    x = tf.constant(RANDOM.normal(size=(4, 8, 8, 4)), tf.float32)
    found = {}
    for kind, dtype in ((keras_layer, "float32"), (ours, "float32"), (ours, "mixed_bfloat16")):
        layer = kind(5, 4, strides=2, padding="same", dtype=dtype, bias_initializer="ones")
        layer.build(x.shape)
        layer.kernel.assign(np.random.default_rng(1).normal(size=layer.kernel.shape))
        found[kind, dtype] = results(layer, x)
    (expected, operations), (same, same_operations), (near, other_operations) = found.values()
    for ours_exact, ours_near, theirs in zip(same, near, expected, strict=True):
        np.testing.assert_array_equal(ours_exact, theirs)
        assert np.linalg.norm(ours_near - theirs) < 0.01 * np.linalg.norm(theirs)
    assert same_operations == operations
    assert "Conv2DBackpropFilter" in operations
    assert "Conv2DBackpropFilter" not in other_operations


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_crop_is_keras_cropping_with_a_padding_as_its_gradient(dtype):
    x = tf.constant(RANDOM.normal(size=(2, 6, 7, 3)), tf.float32)
    cropping = ((0, 1), (2, 1))
    ours, theirs = (results(kind(cropping, dtype=dtype), x) for kind in (Crop, keras.layers.Cropping2D))
    for our, their in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_array_equal(our, their)
    assert "StridedSliceGrad" in theirs[1]
    assert "StridedSliceGrad" not in ours[1]


def results(layer, x):
    """Output and gradients as float32 arrays, and the names of the operations that compute them."""

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(x), tf.float32)
            loss = tf.reduce_sum(tf.square(y))
        return [y, *tape.gradient(loss, [x, *layer.trainable_variables])]

    operations = {operation.type for operation in compute.get_concrete_function().graph.get_operations()}
    return [np.array(value, np.float32) for value in compute()], operations
