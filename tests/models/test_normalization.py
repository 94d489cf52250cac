import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.layers import BatchNorm
from dcgan_tf.models.minibatch import MinibatchStddev
from dcgan_tf.models.spectral import SpectralConv2D, SpectralDense

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def singular_value(kernel):
    matrix = np.reshape(kernel, (-1, kernel.shape[-1]))
    return np.linalg.svd(matrix, compute_uv=False)[0]


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (
            SpectralConv2D(5, 3, strides=2, padding="same", kernel_initializer=keras.initializers.GlorotNormal(seed=3)),
            IMAGES,
        ),
        (SpectralDense(5, kernel_initializer=keras.initializers.GlorotNormal(seed=3)), IMAGES.reshape(4, -1)),
    ],
)
def test_kernel_gets_the_spectral_norm_one(layer, inputs):
    for _ in range(200):
        layer(inputs, training=True)
    assert singular_value(layer.normalized_kernel(False)) == pytest.approx(1, abs=1e-4)
    # The output is the plain layer's with the kernel divided by numpy's largest singular value.
    options = layer.get_config()
    del options["is_unrolled"]
    plain = type(layer).__mro__[2].from_config(options)
    plain.build(inputs.shape)
    plain.kernel.assign(layer.kernel / singular_value(layer.kernel.numpy()))
    np.testing.assert_allclose(layer(inputs, training=False), plain(inputs), atol=1e-4)


def test_vector_moves_in_training_only_and_the_kernel_never():
    layer = SpectralDense(5)
    layer(IMAGES.reshape(4, -1), training=True)
    kernel, vector = layer.kernel.numpy(), layer.singular_vector.numpy()
    layer(IMAGES.reshape(4, -1), training=False)
    np.testing.assert_array_equal(layer.singular_vector, vector)
    layer(IMAGES.reshape(4, -1), training=True)
    assert not np.array_equal(layer.singular_vector, vector)
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert any(weight is layer.singular_vector for weight in layer.non_trainable_weights)


def test_gradient_flows_through_the_singular_value():
    """W / sigma does not change with the length of W, so its gradient is orthogonal to W; a constant sigma's is not."""
    layer = SpectralDense(5, use_bias=False)
    inputs = IMAGES.reshape(4, -1)
    for _ in range(60):
        layer(inputs, training=True)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(inputs, training=False) ** 2)
    gradient = tape.gradient(value, layer.trainable_variables[0])
    assert abs(float(tf.reduce_sum(gradient * layer.kernel))) < 1e-3 * float(tf.norm(gradient) * tf.norm(layer.kernel))


def test_minibatch_stddev_by_hand():
    """Two images, of ones and of threes: the standard deviation of every feature is 1."""
    images = np.ones((2, 4, 4, 3), "float32") * np.array([1, 3], "float32").reshape(2, 1, 1, 1)
    layer = MinibatchStddev(momentum=0.9)
    outputs = layer(images, training=True)
    assert outputs.shape == (2, 4, 4, 4)
    np.testing.assert_array_equal(outputs[..., :3], images)
    np.testing.assert_allclose(outputs[..., 3], 1, rtol=1e-5)
    assert float(layer.moving_stddev) == pytest.approx(0.1)
    np.testing.assert_allclose(layer(np.ones((2, 4, 4, 3), "float32"), training=True)[..., 3], 0, atol=2e-4)


def test_minibatch_stddev_judges_an_image_by_itself_after_training():
    layer = MinibatchStddev(momentum=0.5)
    layer(IMAGES, training=True)
    together = layer(IMAGES, training=False)
    np.testing.assert_array_equal(layer(IMAGES[:1], training=False), together[:1])
    np.testing.assert_allclose(together[..., 3], float(layer.moving_stddev))


def test_layer_norm_leaves_each_image_to_itself(small_config):
    from dcgan_tf.models.configured import configured_discriminator

    discriminator = configured_discriminator(small_config(discriminator_norm="layer"), seed=0)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 1)).astype("float32")
    alone = discriminator(images[:1], training=True)
    np.testing.assert_allclose(discriminator(images, training=True)[:1], alone, atol=1e-6)
    assert not [layer for layer in discriminator.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("synchronized", [False, True])
@pytest.mark.parametrize("shape", [(4, 8, 8, 3), (6, 5)])
def test_batch_norm_is_kerass(shape, synchronized):
    """Output, moving statistics and gradients, in training and after it."""
    inputs = tf.constant(np.random.default_rng(1).normal(2, 3, shape), tf.float32)
    weights = tf.constant(np.random.default_rng(2).normal(size=shape), tf.float32)
    results = []
    for kind in (BatchNorm, keras.layers.BatchNormalization):
        gamma = keras.initializers.RandomNormal(1, 0.1, seed=0)
        layer = kind(momentum=0.7, epsilon=1e-5, gamma_initializer=gamma, synchronized=synchronized)
        layer.build(shape)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        gradients = tape.gradient(outputs, [inputs, layer.gamma.value, layer.beta.value], output_gradients=weights)
        results.append([outputs, *layer.get_weights(), *gradients, layer(inputs, training=False)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
