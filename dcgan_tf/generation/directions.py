"""Directions of the latent space along which something changes, and how to find them."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA

from dcgan_tf import progress
from dcgan_tf.generation.sampling import seed_latents
from dcgan_tf.metrics.arrays import slices
from dcgan_tf.models.conditioning import with_labels

# Latents from which directions are found. Their seeds lie far from those that a person asks for.
FIRST_SEED = 2**40
PRINCIPAL_SAMPLES = 2048
PRINCIPAL_COUNT = 10
ROWS = 128


class Directions(NamedTuple):
    """Some directions.

    Attributes:
        vectors: float32 [directions, latent_dim], of length 1: one deviation of a latent along it.
        shares: float [directions], of the variance that each explains.
    """

    vectors: np.ndarray
    shares: np.ndarray


class Fit(NamedTuple):
    """A direction along which a measured value grows.

    Attributes:
        vector: float32 [latent_dim], of length 1.
        explained: share of the variance of other latents' values that the fit predicts (R squared), 0 or more.
    """

    vector: np.ndarray
    explained: float


def principal_directions(z: np.ndarray, activations: np.ndarray, count: int) -> Directions:
    """The directions in z that move the activations most (GANSpace, Harkonen et al. 2020, arXiv 2004.02546).

    Principal components of the activations, brought back to z by linear regression on their coordinates.

    Args:
        z: float [N, latent_dim].
        activations: float [N, features], of these latents.
        count: how many, the strongest first.
    """
    count = min(count, z.shape[1], *activations.shape)
    components = PCA(count, svd_solver="randomized", random_state=0).fit(activations)
    coordinates = components.transform(activations)
    # Coordinates are not correlated, so the regression is one product.
    vectors = coordinates.T @ (z - z.mean(0))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # The sign of a component means nothing: the largest entry is made positive, so that it is always the same.
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], axis=1)
    return Directions((vectors * np.sign(largest)).astype(np.float32), components.explained_variance_ratio_)


def find_principal_directions(network: keras.Model, count: int = PRINCIPAL_COUNT) -> Directions:
    """The principal directions of a generator's first hidden layer, after its activation, over 2,048 latents."""
    first = next(layer for layer in network.layers if isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU)))
    features = keras.layers.Flatten()(first.output)
    hidden = keras.Model(network.inputs, features)
    z = seed_latents(np.arange(FIRST_SEED, FIRST_SEED + PRINCIPAL_SAMPLES), network.inputs[0].shape[1])
    labels = None
    if len(network.inputs) > 1:  # All classes, so that a direction is one of the latents and of no class.
        classes = network.get_layer("label_embedding").kernel.shape[0]
        labels = np.arange(len(z)) % classes
    activations = [
        hidden(with_labels(tf.constant(z[part]), None if labels is None else labels[part]), training=False).numpy()
        for part in slices(len(z), ROWS)
    ]
    return principal_directions(z, np.concatenate(activations), count)


def fit_direction(z: np.ndarray, values: np.ndarray) -> Fit:
    """The direction along which a value grows fastest: least squares of the value on z, with a constant.

    Each value is predicted by a fit to all others: what a fit explains of its own values is half of pure noise where
    there are twice as many values as numbers in a latent.

    Args:
        z: float [N, latent_dim], of normal latents, more than latent_dim + 1 of them.
        values: float [N], measured on their images.
    """
    q, r = np.linalg.qr(np.column_stack([z, np.ones(len(z))]).astype(np.float64))
    weights = np.linalg.solve(r, q.T @ values)[:-1]
    # The residual of a fit without a value follows from that of the fit to all, by its leverage.
    residuals = (values - q @ (q.T @ values)) / (1 - np.square(q).sum(1))
    explained = max(0.0, 1 - float(np.mean(residuals**2) / values.var()))
    return Fit((weights / np.linalg.norm(weights)).astype(np.float32), explained)


def measure_along(
    generate: Callable[[np.ndarray], np.ndarray],
    measure: Callable[[np.ndarray], np.ndarray],
    z: np.ndarray,
    direction: np.ndarray,
    positions: np.ndarray,
    description: str,
) -> np.ndarray:
    """Measures images of latents that are moved along a direction.

    Args:
        generate: from latents to images.
        measure: from images to values [N].
        z: float32 [N, latent_dim].
        direction: float32 [latent_dim].
        positions: [P], by how much it is added.
        description: of the progress bar.

    Returns:
        float [P, N].
    """
    return np.stack(
        [
            measure(generate(z + np.float32(position) * direction))
            for position in progress.bar(positions, desc=description, unit="position")
        ]
    )
