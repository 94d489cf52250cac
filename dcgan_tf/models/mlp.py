"""The fully connected networks of Goodfellow et al. 2014 (arXiv 1406.2661), which also generate points."""

import math
from collections.abc import Sequence

import keras

from dcgan_tf.models.conditioning import append_embedding, judge, label_input
from dcgan_tf.models.layers import LayerFactory


def build_mlp_generator(
    sample_shape: Sequence[int],
    *,
    latent_dim: int = 100,
    units: Sequence[int] = (256, 512, 1024),
    activation: str = "relu",
    leaky_slope: float = 0.2,
    class_count: int = 0,
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds a fully connected generator.

    Args:
        sample_shape: (height, width, channels) of an image; or (2,) for points in the plane, which are unbounded.
        latent_dim: Length of z.
        units: Widths of the hidden layers.
        activation: ``relu`` or ``leaky_relu``.
        leaky_slope: Slope of LeakyReLU below zero.
        class_count: Classes of a conditional generator; 0: unconditional.
        seed: Seed of the initial weights (Glorot uniform).
        dtype: Keras dtype policy of the hidden layers.

    Returns:
        A functional model: float32 [N, latent_dim] -> images float32 [N, height, width, channels] in [-1, 1], or points
        float32 [N, 2]; a conditional one takes [z, labels int64 [N]].
    """
    layers = LayerFactory(seed, dtype, initializer="glorot", activation=activation, leaky_slope=leaky_slope)
    z = keras.Input((latent_dim,), name="z")
    label = label_input() if class_count else None
    x = z if label is None else append_embedding(z, label, class_count, layers)
    for number, width in enumerate(units, start=1):
        x = layers.dense(width, name=f"hidden_{number}")(x)
        x = layers.activate(x, f"hidden_{number}")
    x = layers.dense(math.prod(sample_shape), dtype="float32", name="to_image")(x)
    if len(sample_shape) == 3:
        x = keras.layers.Activation("tanh", dtype="float32", name="tanh")(x)
        x = keras.layers.Reshape(tuple(sample_shape), dtype="float32", name="image")(x)
    return keras.Model(z if label is None else [z, label], x, name="generator")


def build_mlp_discriminator(
    sample_shape: Sequence[int],
    *,
    units: Sequence[int] = (512, 256),
    spectral_norm: bool = False,
    leaky_slope: float = 0.2,
    dropout: float = 0.0,
    dropout_rows: int = 0,
    pack: int = 1,
    is_unrolled: bool = False,
    class_count: int = 0,
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds a fully connected discriminator. For the arguments, see `build_mlp_generator` and `build_discriminator`.

    Returns:
        A functional model: float32 [N, *sample_shape], with a last axis ``pack`` times as long -> logits float32
        [N, 1]; a conditional one takes [samples, labels int64 [N]].
    """
    layers = LayerFactory(
        seed,
        dtype,
        initializer="glorot",
        leaky_slope=leaky_slope,
        spectral_norm=spectral_norm,
        dropout=dropout,
        dropout_rows=dropout_rows,
        is_unrolled=is_unrolled,
    )
    *sides, last = sample_shape
    image = keras.Input((*sides, pack * last), name="image")
    x = keras.layers.Flatten(name="flatten")(image)
    for number, width in enumerate(units, start=1):
        x = layers.dense(width, name=f"hidden_{number}")(x)
        x = layers.leaky_relu(f"hidden_{number}_leaky_relu")(x)
        x = layers.drop(x, f"hidden_{number}_dropout")
    return judge(image, x, class_count, layers)
