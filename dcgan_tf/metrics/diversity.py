"""Mean pairwise distance, which falls toward zero as all samples become the same."""

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

from dcgan_tf.metrics.arrays import Estimate, check_features
from dcgan_tf.metrics.neighbors import BLOCK_MIB

MIN_SAMPLES = 2  # Small, because a run may be monitored with only a few images.


def mean_pairwise_distance(features: np.ndarray) -> Estimate:
    """The mean Euclidean distance between two different samples.

    Args:
        features: float [samples, features].

    Returns:
        The mean, to be compared with that of real images, and its standard error as a U-statistic (Hoeffding 1948).

    Raises:
        UserError: There are fewer than 2 samples, or features are not finite.
    """
    check_features("mean_pairwise_distance", features, minimum=MIN_SAMPLES)
    chunks = pairwise_distances_chunked(features, working_memory=BLOCK_MIB)
    means = np.concatenate([distances.sum(1) for distances in chunks]) / (len(features) - 1)
    return Estimate(float(means.mean()), float(2 * means.std(ddof=1) / np.sqrt(len(features))))
