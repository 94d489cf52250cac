"""Variety: whether samples repeat each other, and whether they cover all kinds of images in the data."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist

from dcgan_tf.metrics.arrays import check_features

GROUPS = 20
IMAGES_PER_GROUP = 25  # With fewer images, the shares of the groups would be too random.
COPY = 0.25
NEAR = 0.95
MIN_SAMPLES = 2  # Small, because a run may be monitored with only a few images.


class Variety(NamedTuple):
    """How samples compare with real images.

    Attributes:
        diversity: Mean distance of two samples, relative to that of real images.
        repeats: Share of samples that nearly equal another sample: they are closer than a quarter of the typical
            nearest-neighbor distance among as many real images. Distances are relative to the mean distance, so noise,
            whose distances are all about the same, does not count as repeating.
        group_distance: Total variation distance between the distributions of samples and real images over groups of
            real images. It is 0 if each group has its share of the samples, and 1 if the samples miss all groups that
            contain real images. For 128 other real images, it is 0.1 to 0.24.
        realism: Share of samples as near to a real image as 95% of the real images are to another one.
    """

    diversity: float
    repeats: float
    group_distance: float
    realism: float


class RealVariety:
    """The variety of real images, with which samples are compared.

    Args:
        features: float [images, features], of real images.

    Raises:
        UserError: There are fewer than 2 images, or features are not finite.
    """

    def __init__(self, features: np.ndarray) -> None:
        check_features("variety", features, minimum=MIN_SAMPLES)
        self._features = features.astype(np.float64)
        self._distance, nearest = _distances(self._features)
        self._radius = np.quantile(nearest, NEAR)
        self._centers = _group_centers(self._features)
        self._shares = self._shares_of_groups(self._features)

    def compare(self, features: np.ndarray) -> Variety:
        """Compares samples, float [samples, features] from the same network, with the real images."""
        check_features("variety", features, self._features, minimum=MIN_SAMPLES)
        distance, nearest = _distances(features)
        # Compare with equally many real images, because nearest-neighbor distances shrink with their number.
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
    """The mean distance of two different samples, and the distance of each sample to its nearest neighbor."""
    distances = cdist(features, features)
    mean = distances.sum() / (len(features) * (len(features) - 1))
    np.fill_diagonal(distances, np.inf)
    return mean, distances.min(1)
