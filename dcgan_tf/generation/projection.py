"""Projection of an image to a latent by gradient descent on the latent."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import progress
from dcgan_tf.generation.attention import last_features
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.pixels import to_float, to_uint8

# Each restart begins at the best of this many random latents.
CANDIDATES = 32
LEARNING_RATE = 0.1


class Projection(NamedTuple):
    """The result of a projection.

    Attributes:
        z: float32 [latent_dim].
        image: uint8 [height, width, channels], the generated image of this latent.
        pixel_distance: Root mean squared difference of the pixels, which range from 0 to 1.
        median_pixel_error: Median absolute difference of the pixels, in gray levels from 0 to 255.
        feature_distance: Mean squared difference of the discriminator's last features divided by their mean square; NaN
            if features were not compared.
    """

    z: np.ndarray
    image: np.ndarray
    pixel_distance: float
    median_pixel_error: float
    feature_distance: float


def project(
    generator: keras.Model,
    discriminator: keras.Model | None,
    image: np.ndarray,
    label: np.ndarray | None,
    *,
    steps: int,
    restarts: int,
    seed: int,
    feature_weight: float,
) -> Projection:
    """Finds the latent whose image is nearest to a given one, in pixels and in the discriminator's features.

    Args:
        generator: A model from `build_generator`.
        discriminator: The discriminator, or None to compare only pixels.
        image: uint8 [1, height, width, channels].
        label: int64 [1], for a conditional generator.
        steps: Number of Adam steps, with a learning rate that falls along a cosine.
        restarts: Number of latents that are optimized in one batch. The best one is returned.
        seed: Seed of the initial latents.
        feature_weight: Weight of the distance in features, relative to the mean squared difference of pixels in
            [-1, 1].
    """
    z, losses = optimize(
        generator,
        discriminator,
        np.repeat(image, restarts, axis=0),
        None if label is None else np.repeat(label, restarts),
        steps=steps,
        seed=seed,
        feature_weight=feature_weight,
        description="projecting",
    )
    best = z[losses.argmin()][None]
    found = to_uint8(generator(with_labels(tf.constant(best), label), training=False)).numpy()
    difference = found[0].astype(np.float64) - image[0]
    feature_distance = float("nan")
    if discriminator is not None:
        features = last_features(discriminator)
        ours, theirs = (features(to_float(tf.constant(each)), training=False) for each in (found, image))
        feature_distance = float(_relative_distance(ours, theirs)[0])
    return Projection(
        best[0],
        found[0],
        float(np.sqrt(np.mean(difference**2)) / 255),
        float(np.median(np.abs(difference))),
        feature_distance,
    )


def optimize(
    generator: keras.Model,
    discriminator: keras.Model | None,
    images: np.ndarray,
    labels: np.ndarray | None,
    *,
    steps: int,
    seed: int,
    feature_weight: float,
    description: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the latents of several images in one batch. Each image has its own descent.

    Args:
        generator, discriminator, steps, seed, feature_weight: As in `project`.
        images: uint8 [N, height, width, channels].
        labels: int64 [N], for a conditional generator.
        description: Text of the progress bar.

    Returns:
        Latents float32 [N, latent_dim] and their losses float32 [N].
    """
    targets = to_float(tf.constant(images))
    features = None if discriminator is None else last_features(discriminator)
    target_features = None if features is None else features(targets, training=False)

    def losses_of(z: tf.Tensor) -> tf.Tensor:
        made = generator(with_labels(z, labels), training=False)
        losses = tf.reduce_mean(tf.square(made - targets), axis=(1, 2, 3))
        if features is not None:
            losses += feature_weight * _relative_distance(features(made, training=False), target_features)
        return losses

    z = tf.Variable(_best_candidates(losses_of, (len(images), generator.inputs[0].shape[1]), seed))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))
    optimizer.build([z])

    @tf.function
    def descend() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses_of(z))
        optimizer.apply([tape.gradient(loss, z)], [z])

    for _ in progress.bar(range(steps), desc=description, unit="step"):
        descend()
    return z.numpy(), losses_of(z).numpy()


def _best_candidates(losses_of: tf.types.experimental.GenericFunction, shape: tuple[int, int], seed: int) -> np.ndarray:
    losses_of = tf.function(losses_of)
    best, least = np.zeros(shape, np.float32), np.full(shape[0], np.inf)
    # The numbers start at 1. With 0, the first row would be the latent that samples draw from this seed, so the
    # projection of that sample would start at its solution.
    for number in range(1, CANDIDATES + 1):
        z = tf.random.stateless_normal(shape, seed=[seed, number], alg="philox")
        losses = losses_of(z).numpy()
        better = losses < least
        best[better], least[better] = z.numpy()[better], losses[better]
    return best


def _relative_distance(features: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    axes = tuple(range(1, features.shape.rank))
    return tf.reduce_mean(tf.square(features - targets), axes) / (tf.reduce_mean(tf.square(targets), axes) + 1e-12)
