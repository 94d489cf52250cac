"""Whether an edited image is still more like its own original than like others."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances

from dcgan_tf.metrics.arrays import Estimate, check_features, standard_error


class Identity(NamedTuple):
    """How well edits keep what tells the originals apart.

    Attributes:
        ratio: Mean over the edited images of the distance to the own original, divided by the mean distance to the
            other originals: 0 where the edit changes nothing, about 1 where the images could be anybody's.
        own_nearest: Share of the edited images to which the own original is nearer than every other.
    """

    ratio: Estimate
    own_nearest: Estimate


def identity(originals: np.ndarray, edited: np.ndarray) -> Identity:
    """Compares Euclidean distances in feature space.

    Args:
        originals: float [N, features], at least two.
        edited: float [N, features], of the same images after the edit, in the same order.

    Raises:
        UserError: Fewer than two images, or features that are not finite.
    """
    check_features("identity", originals, edited, minimum=2)
    distances = pairwise_distances(edited.astype(np.float64), originals.astype(np.float64))
    own = np.diagonal(distances)
    others = distances[~np.eye(len(distances), dtype=bool)].reshape(len(distances), -1)
    ratios = own / np.maximum(others.mean(1), np.finfo(np.float64).tiny)  # All images may be the same.
    nearest = own < others.min(1)
    return Identity(
        Estimate(float(ratios.mean()), standard_error(ratios)), Estimate(float(nearest.mean()), standard_error(nearest))
    )
