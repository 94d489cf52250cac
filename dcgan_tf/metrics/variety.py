"""Whether samples repeat each other, and whether they show all kinds of images that the data hold."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist

from dcgan_tf.metrics.arrays import check_features

GROUPS = 20
IMAGES_PER_GROUP = 25  # Fewer would leave the shares of the groups to chance.
COPY = 0.25
NEAR = 0.95
MIN_SAMPLES = 2  # A training may be watched by a handful of images.


class Variety(NamedTuple):
    """How samples compare with real images.

    Attributes:
        diversity: mean distance of two samples, real images 1.
        repeats: share of samples with another one next to them: closer than a quarter of what is usual among as many
            real images. Distances are in units of the mean one, so that noise, which is equally far from all noise,
            does not count.
        group_distance: total variation distance between samples and real images over groups of real images: 0 where
            each group has its share of the samples, 1 where they miss all groups that real images are in. Of 128 other
            real images it is 0.1 to 0.24.
        realism: share of samples as near to a real image as 95 % of the real images are to another one.
    """

    diversity: float
    repeats: float
    group_distance: float
    realism: float


class RealVariety:
    """The variety of real images, for samples to be compared with.

    Args:
        features: float [images, features] of real images.

    Raises:
        UserError: fewer than 2 images, or features not finite.
    """

    def __init__(self, features: np.ndarray) -> None:
        check_features("variety", features, minimum=MIN_SAMPLES)
        self._features = features.astype(np.float64)
        self._distance, nearest = _distances(self._features)
        self._radius = np.quantile(nearest, NEAR)
        self._centers = _group_centers(self._features)
        self._shares = self._shares_of_groups(self._features)

    def compare(self, features: np.ndarray) -> Variety:
        """Compares samples, float [samples, features] of the same network, with the real images."""
        check_features("variety", features, self._features, minimum=MIN_SAMPLES)
        distance, nearest = _distances(features)
        # The nearest of many is nearer than the nearest of few.
        real_distance, real_nearest = _distances(_spread(self._features, len(features)))
        usual = np.median(real_nearest) / max(real_distance, 1e-12)
        return Variety(
            diversity=float(distance / max(self._distance, 1e-12)),
            repeats=float(np.mean(nearest <= COPY * usual * distance)),
            group_distance=float(np.abs(self._shares_of_groups(features) - self._shares).sum() / 2),
            realism=float(np.mean(cdist(features, self._features).min(1) <= self._radius)),
        )

    def _shares_of_groups(self, features: np.ndarray) -> np.ndarray:
        groups = cdist(features, self._centers).argmin(1)
        return np.bincount(groups, minlength=len(self._centers)) / len(features)


def _group_centers(features: np.ndarray) -> np.ndarray:
    """The centers, float [groups, features], of groups of similar images."""
    count = min(GROUPS, len(np.unique(features, axis=0)) // IMAGES_PER_GROUP)
    if count < 2:
        return features.mean(0, keepdims=True)
    centers, _ = kmeans2(features, count, minit="++", seed=0)
    return centers


def _spread(features: np.ndarray, count: int) -> np.ndarray:
    return features[np.linspace(0, len(features) - 1, min(count, len(features))).astype(int)]


def _distances(features: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean distance of two different samples, and each one's distance to its nearest other one."""
    distances = cdist(features, features)
    mean = distances.sum() / (len(features) * (len(features) - 1))
    np.fill_diagonal(distances, np.inf)
    return mean, distances.min(1)
