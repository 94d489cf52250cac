"""Finding directions in latent space along which the images change in a certain way."""

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

# Seeds of the latents used to find directions, far from the seeds that users choose.
FIRST_SEED = 2**40
PRINCIPAL_SAMPLES = 2048
PRINCIPAL_COUNT = 10
ROWS = 128


class Directions(NamedTuple):
    """Directions in latent space.

    Attributes:
        vectors: float32 [directions, latent_dim], each of length 1, which is one standard deviation of a latent.
        shares: float [directions], the share of the variance that each one explains.
    """

    vectors: np.ndarray
    shares: np.ndarray


class Fit(NamedTuple):
    """A direction along which a measured value grows.

    Attributes:
        vector: float32 [latent_dim], of length 1.
        explained: R squared on latents that were not used for the fit, at least 0.
    """

    vector: np.ndarray
    explained: float


def principal_directions(z: np.ndarray, activations: np.ndarray, count: int) -> Directions:
    """The directions in z that move the activations most (GANSpace, Harkonen et al. 2020, arXiv 2004.02546).

    They are the principal components of the activations, mapped back to z by linear regression on their coordinates.

    Args:
        z: float [N, latent_dim].
        activations: float [N, features], the activations for these latents.
        count: Number of directions, the strongest first.
    """
    count = min(count, z.shape[1], *activations.shape)
    components = PCA(count, svd_solver="randomized", random_state=0).fit(activations)
    coordinates = components.transform(activations)
    # The coordinates are uncorrelated, so the regression is a single product.
    vectors = coordinates.T @ (z - z.mean(0))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # The sign of a component is arbitrary. Making its largest entry positive makes the result reproducible.
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], axis=1)
    return Directions((vectors * np.sign(largest)).astype(np.float32), components.explained_variance_ratio_)


def find_principal_directions(network: keras.Model, count: int = PRINCIPAL_COUNT) -> Directions:
    """Finds the principal directions of a generator's first hidden layer, after its activation, from 2,048 latents."""
    first = next(layer for layer in network.layers if isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU)))
    features = keras.layers.Flatten()(first.output)
    hidden = keras.Model(network.inputs, features)
    z = seed_latents(np.arange(FIRST_SEED, FIRST_SEED + PRINCIPAL_SAMPLES), network.inputs[0].shape[1])
    labels = None
    if len(network.inputs) > 1:  # All classes equally often, so that a direction does not depend on a class.
        classes = network.get_layer("label_embedding").kernel.shape[0]
        labels = np.arange(len(z)) % classes
    activations = [
        hidden(with_labels(tf.constant(z[part]), None if labels is None else labels[part]), training=False).numpy()
        for part in slices(len(z), ROWS)
    ]
    return principal_directions(z, np.concatenate(activations), count)


def fit_direction(z: np.ndarray, values: np.ndarray) -> Fit:
    """Finds the direction along which a value grows fastest, by linear regression of the value on z, with a constant.

    R squared is computed by leave-one-out prediction: each value is predicted by a regression on all other values.
    Without this, R squared would be too large if there are few values. With only twice as many values as numbers in a
    latent, it would be about 0.5 even if the values were pure noise.

    Args:
        z: float [N, latent_dim], normal latents, more than latent_dim + 1 of them.
        values: float [N], measured on the images of these latents.
    """
    q, r = np.linalg.qr(np.column_stack([z, np.ones(len(z))]).astype(np.float64))
    weights = np.linalg.solve(r, q.T @ values)[:-1]
    # The leave-one-out residual follows from the residual of the full fit and the leverage.
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
    """Measures the images of latents that are moved along a direction.

    Args:
        generate: Maps latents to images.
        measure: Maps images to values [N].
        z: float32 [N, latent_dim].
        direction: float32 [latent_dim].
        positions: [P], the multiples of the direction that are added.
        description: Text of the progress bar.

    Returns:
        float [P, N].
    """
    return np.stack(
        [
            measure(generate(z + np.float32(position) * direction))
            for position in progress.bar(positions, desc=description, unit="position")
        ]
    )
