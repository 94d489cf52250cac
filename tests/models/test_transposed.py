import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.transposed import ImageConv2DTranspose, upsample_by_convolution

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", range(3, 8))
def test_same_images_and_gradients_as_tensorflows(side, channels):
    x = tf.constant(RANDOM.normal(size=(2, 5, 6, 4)), tf.float32)
    kernel = tf.constant(RANDOM.normal(size=(side, side, channels, 4)), tf.float32)
    upstream = tf.constant(RANDOM.normal(size=(2, 10, 12, channels)), tf.float32)
    results = []
    for function in (
        upsample_by_convolution,
        lambda x, kernel: tf.nn.conv2d_transpose(x, kernel, [2, 10, 12, channels], 2, "SAME"),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            images = function(x, kernel)
        results.append([images, *tape.gradient(images, [x, kernel], output_gradients=upstream)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_layer_is_the_same_in_training_and_after_it():
    layer = ImageConv2DTranspose(1, 5, strides=2, padding="same", bias_initializer="ones")
    x = tf.constant(RANDOM.normal(size=(3, 7, 7, 8)), tf.float32)
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False), atol=1e-5)
    assert [weight.path.split("/")[-1] for weight in layer.weights] == ["kernel", "bias"]
