"""Identity: whether an edited image still resembles its own original more than others."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances

from dcgan_tf.metrics.arrays import Estimate, check_features, standard_error


class Identity(NamedTuple):
    """How well edits preserve what distinguishes the originals.

    Attributes:
        ratio: Distance of an edited image to its own original divided by its mean distance to the other originals,
            averaged over the edited images. It is 0 if the edit changes nothing, and about 1 if the originals cannot be
            recognized.
        own_nearest: Share of the edited images that are nearer to their own original than to any other.
    """

    ratio: Estimate
    own_nearest: Estimate


def identity(originals: np.ndarray, edited: np.ndarray) -> Identity:
    """Compares Euclidean distances in feature space.

    Args:
        originals: float [N, features], at least two.
        edited: float [N, features], the same images after the edit, in the same order.

    Raises:
        UserError: There are fewer than two images, or features are not finite.
    """
    check_features("identity", originals, edited, minimum=2)
    distances = pairwise_distances(edited.astype(np.float64), originals.astype(np.float64))
    own = np.diagonal(distances)
    others = distances[~np.eye(len(distances), dtype=bool)].reshape(len(distances), -1)
    ratios = own / np.maximum(others.mean(1), np.finfo(np.float64).tiny)  # 0 if all images are the same
    nearest = own < others.min(1)
    return Identity(
        Estimate(float(ratios.mean()), standard_error(ratios)), Estimate(float(nearest.mean()), standard_error(nearest))
    )
