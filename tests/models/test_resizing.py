"""Upsampling and a convolution as one operation: the same values and gradients as Keras's two layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.resizing import NearestConv2D

RANDOM = np.random.default_rng(0)


@pytest.fixture
def pair():
    """Makes the layer and Keras's two layers, with equal weights."""

    def make(shape, filters, side, dtype="float32"):
        layer = NearestConv2D(filters, side, padding="same", dtype=dtype)
        layer.build(shape)
        convolution = keras.layers.Conv2D(filters, side, padding="same", dtype="float32")
        convolution.build(layer.compute_output_shape(shape)[:3] + shape[3:])
        for ours, theirs in zip(layer.weights, convolution.weights, strict=True):
            theirs.assign(RANDOM.normal(size=theirs.shape))
            ours.assign(theirs)
        return layer, lambda x: convolution(keras.layers.UpSampling2D(2, interpolation="nearest")(x)), convolution

    return make


def value_and_gradients(function, weights, x, training):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cast(function(x, training=True) if training else function(x), tf.float32)
        loss = tf.reduce_sum(tf.sin(y))
    return [np.array(value, np.float32) for value in (y, *tape.gradient(loss, [x, *weights]))]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("filters", [1, 3, 4])
@pytest.mark.parametrize("side", range(3, 8))
def test_values_and_gradients_are_those_of_two_layers(pair, side, filters, training):
    x = tf.constant(RANDOM.normal(size=(2, 5, 6, 4)), tf.float32)
    layer, expected, convolution = pair(tuple(x.shape), filters, side)
    ours = value_and_gradients(layer, layer.weights, x, training)
    assert ours[0].shape == (2, 10, 12, filters) == layer.compute_output_shape(x.shape)
    for our, their in zip(ours, value_and_gradients(expected, convolution.weights, x, False), strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("rows", "filters", "side"), [(5, 4, 3), (12, 4, 3), (12, 3, 3), (5, 4, 4), (6, 1, 5)])
def test_bfloat16_differs_by_rounding(pair, rows, filters, side):
    x = tf.constant(RANDOM.normal(size=(2, rows, rows, 4)), tf.float32)
    layer, expected, convolution = pair(tuple(x.shape), filters, side, "mixed_bfloat16")
    assert layer.uses_own_gradients() == (not tf.config.list_logical_devices("GPU"))
    # Small outputs, so that the sine of the loss does not fold them.
    for weight in (*layer.weights, *convolution.weights):
        weight.assign(weight.numpy() / 30)
    ours = value_and_gradients(layer, layer.weights, x, True)
    for our, their in zip(ours, value_and_gradients(expected, convolution.weights, x, False), strict=True):
        assert np.linalg.norm(our - their) < 0.01 * np.linalg.norm(their)
