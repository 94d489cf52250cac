"""The networks behave as Keras models: they are saved and loaded as .keras files, and no option is silently ignored."""

import keras
import numpy as np
import pytest

from dcgan_tf.models.bfloat16 import Conv2D, Conv2DTranspose
from dcgan_tf.models.cropping import Crop
from dcgan_tf.models.discriminator import build_discriminator
from dcgan_tf.models.dropout import Dropout
from dcgan_tf.models.generator import build_generator
from dcgan_tf.models.mlp import build_mlp_discriminator, build_mlp_generator
from dcgan_tf.models.normalization import BatchNorm, LayerNorm
from dcgan_tf.models.resizing import NearestConv2D
from dcgan_tf.models.spectral import SpectralConv2D, SpectralDense
from dcgan_tf.models.transposed import ImageConv2DTranspose

LABELS = np.array([0, 2])
Z = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
IMAGES = np.random.default_rng(1).uniform(-1, 1, (2, 20, 16, 3)).astype(np.float32)

NETWORKS = {
    "generator": lambda: (build_generator(20, 16, 3, latent_dim=6, filters=4), Z),
    "conditional generator": lambda: (
        build_generator(20, 16, 3, latent_dim=6, filters=(8, 4), activation="leaky_relu", class_count=3),
        [Z, LABELS],
    ),
    "resizing generator": lambda: (
        build_generator(20, 16, 3, latent_dim=6, filters=4, upsampling="bilinear", extra_layer="image"),
        Z,
    ),
    "repeating generator": lambda: (
        build_generator(20, 16, 3, latent_dim=6, filters=4, kernel_size=3, upsampling="nearest"),
        Z,
    ),
    "discriminator": lambda: (build_discriminator(20, 16, 3, filters=4, dropout=0.3, minibatch_stddev=True), IMAGES),
    "conditional discriminator": lambda: (
        build_discriminator(
            20, 16, 3, filters=4, norm="layer", spectral_norm=True, is_unrolled=True, head="average_pool", class_count=3
        ),
        [IMAGES, LABELS],
    ),
    "mlp generator": lambda: (build_mlp_generator((20, 16, 3), latent_dim=6, units=(8,)), Z),
    "mlp of points": lambda: (build_mlp_generator((2,), latent_dim=6, units=(8,), class_count=3), [Z, LABELS]),
    "mlp discriminator": lambda: (build_mlp_discriminator((20, 16, 3), units=(8,), spectral_norm=True), IMAGES),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_saves_and_loads(name, tmp_path):
    network, inputs = NETWORKS[name]()
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(inputs, training=False), network(inputs, training=False))
    for ours, theirs in zip(network.layers, loaded.layers, strict=True):
        assert type(ours) is type(theirs)
        assert options(ours) == options(theirs)


def options(layer):
    """All options but the initializers, which are of no use once the weights are there."""
    return {name: value for name, value in layer.get_config().items() if not name.endswith("_initializer")}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: BatchNorm(axis=1), "axis"),
        (lambda: BatchNorm(center=False), "center"),
        (lambda: LayerNorm(groups=2), "groups"),
        (lambda: LayerNorm(scale=False), "scale"),
        (lambda: Conv2D(4, 3), "padding"),
        (lambda: Conv2D(4, 3, padding="same", groups=2), "groups"),
        (lambda: Conv2DTranspose(4, 3), "padding"),
        (lambda: NearestConv2D(4, 3), "padding"),
        (lambda: NearestConv2D(4, (3, 4), padding="same"), "kernel_size"),
        (lambda: NearestConv2D(4, 3, padding="same", strides=2), "strides"),
        (lambda: NearestConv2D(4, 3, padding="same", activation="relu"), "activation"),
        (lambda: Crop(1, data_format="channels_first"), "data_format"),
        (lambda: Dropout(0.3, noise_shape=(1, 4)), "noise_shape"),
        (lambda: SpectralConv2D(4, 3, padding="same", activation="relu"), "activation"),
        (lambda: SpectralDense(4, activation="tanh"), "activation"),
        (lambda: ImageConv2DTranspose(1, 4, padding="same"), "strides"),
        (lambda: ImageConv2DTranspose(1, 4, strides=2), "padding"),
        (lambda: ImageConv2DTranspose(1, 4, strides=2, padding="same", activation="relu"), "activation"),
        (lambda: ImageConv2DTranspose(1, 4, strides=2, padding="same", data_format="channels_first"), "data_format"),
    ],
)
def test_options_without_support_are_rejected(make, name):
    with pytest.raises(ValueError, match=rf"supports only {name}="):
        make()


def test_a_size_that_cannot_be_built_is_a_value_error():
    with pytest.raises(ValueError, match="from 16 to 256"):
        build_generator(8, 8, 1)
