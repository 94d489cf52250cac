import keras
import numpy as np
import pytest

from dcgan_tf.generation.attention import (
    first_filters,
    guided_backpropagation,
    last_features,
    stretch,
    strongest_images,
)
from tests.small_runs import make_networks


@pytest.fixture
def network():
    """Two pixels -> two hidden values -> one feature, with the weights behind the answers below."""
    image = keras.Input((1, 2, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.LeakyReLU(0.5)(keras.layers.Dense(2, use_bias=False)(x))
    x = keras.layers.LeakyReLU(0.5)(keras.layers.Dense(2, use_bias=False)(x))
    network = keras.Model(image, keras.layers.Dense(1)(x))
    network.layers[2].set_weights([np.array([[1.0, 2.0], [3.0, -5.0]])])
    network.layers[4].set_weights([np.array([[4.0, 1.0], [-1.0, 1.0]])])
    return network


def test_guided_backpropagation_worked_out_by_hand(network):
    # White and black are 1 and -1. First image (1, 1): hidden 4 and -3, the second of which is cut off. Feature 0
    # sends 4 back to the first hidden value and through it (1, 3): in all (4, 12).
    # Second image (1, -1): hidden -2 and 7; feature 1 is 0.5 * -2 + 7 > 0 and sends 1 back to both; the first was
    # negative, and the second sends (2, -5) to the pixels.
    # Feature 0 of the second image is 4 * -1 - 7 < 0: nothing goes back at all.
    images = np.array([[255, 255], [255, 0], [255, 0]], np.uint8).reshape(3, 1, 2, 1)
    guided = guided_backpropagation(last_features(network), images, np.array([0, 1, 0]))
    np.testing.assert_allclose(guided.reshape(3, 2), [[4, 12], [2, -5], [0, 0]], rtol=1e-5)


def test_a_negative_gradient_does_not_pass(network):
    # The image (1, 0.2) has the hidden values 1.6 and 1. Feature 0 is 4 * 1.6 - 1 > 0 and sends 4 to the first, and -1
    # to the second, which is not let through: a plain gradient would be (2, 17).
    images = np.array([[255, 153]], np.uint8).reshape(1, 1, 2, 1)
    guided = guided_backpropagation(last_features(network), images, np.array([0]))
    np.testing.assert_allclose(guided.ravel(), [4, 12], rtol=1e-5)


def test_strongest_images_of_the_strongest_features(network):
    images = np.array([[255, 255], [255, 0], [0, 255]], np.uint8).reshape(3, 1, 2, 1)
    # Answers: image 0: hidden (4, -1.5) -> (17.5, 2.5); 1: (-1, 7) -> (-11, 6) before LeakyReLU; 2: (2, -3.5) ->
    # (11.5, -1.5).
    strongest = strongest_images(last_features(network), images, count=2, per_feature=2)
    assert strongest.features.tolist() == [0, 1]
    assert strongest.images.tolist() == [[0, 2], [1, 0]]


def test_stretch_keeps_zero_gray_and_the_largest_at_the_edge():
    signed = np.array([[0.0, -0.5, 0.25]]).reshape(1, 1, 3, 1)
    assert stretch(signed).ravel().tolist() == [128, 0, 191]
    assert stretch(np.zeros((1, 2, 2, 1))).tolist() == np.full((1, 2, 2, 1), 128).tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": "3", "spectral_norm": True, "discriminator_norm": "layer"},
        {"conditional": True, "class_names": ("a", "b"), "minibatch_stddev": True, "dropout": 0.3},
        {"architecture": "mlp", "generator_filters": "9", "discriminator_filters": "9,8"},
    ],
    ids=str,
)
def test_every_kind_of_discriminator_can_be_looked_at(changes):
    networks = make_networks(**changes)
    discriminator, shape = networks.discriminator, networks.config.sample_shape
    images = np.random.default_rng(0).integers(0, 256, (5, *shape)).astype(np.uint8)
    filters = first_filters(discriminator)
    kernel = next(layer for layer in discriminator.layers if hasattr(layer, "kernel")).kernel.numpy()
    if kernel.ndim == 4:
        assert filters.shape == (8, 4, 4, shape[2])
        np.testing.assert_array_equal(filters[3], stretch(kernel[None, :, :, :, 3])[0])
    else:
        assert filters.shape == (9, *shape)
        np.testing.assert_array_equal(filters[3], stretch(kernel[:, 3].reshape(1, *shape))[0])
    features = last_features(discriminator)
    strongest = strongest_images(features, images, count=1, per_feature=5)
    images = images[strongest.images[0]]
    guided = guided_backpropagation(features, images, np.repeat(strongest.features, 5))
    assert guided.shape == images.shape
    assert np.isfinite(guided).all()
    assert guided.any()
