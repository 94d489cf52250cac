"""Density and coverage: similar to precision and recall, but robust against outliers in the data."""

from typing import NamedTuple

import numpy as np

from dcgan_tf.metrics.arrays import Estimate, check_features
from dcgan_tf.metrics.neighbors import count_ball_hits, halving_error

NEIGHBOR = 5
MIN_SAMPLES = 50


class DensityCoverage(NamedTuple):
    density: Estimate
    coverage: Estimate


def density_coverage(real: np.ndarray, fake: np.ndarray) -> DensityCoverage:
    """Computes density and coverage (Naeem et al. 2020) with balls around real samples.

    Each ball reaches to the fifth nearest real neighbor. Density is the mean number of balls that contain a sample,
    divided by five. Coverage is the share of balls that contain any sample.

    Args:
        real, fake: float [samples, features], from the same network.

    Returns:
        Density, at least 0 and near 1 for samples like the data, and coverage, from 0 to 1. For equally many samples
        from the same distribution, the expected coverage is 1 - 1/2^5 = 0.97. The standard errors refer to a new draw
        of both sets.

    Raises:
        UserError: There are fewer than 50 samples, or features are not finite.
    """
    check_features("density_coverage", real, fake, minimum=MIN_SAMPLES)
    hits = count_ball_hits(fake, real, NEIGHBOR)
    density, covered = hits.of_sample / NEIGHBOR, hits.of_ball > 0
    return DensityCoverage(
        Estimate(float(density[0].mean()), halving_error(density[1:], hits.sample_halves)),
        Estimate(float(covered[0].mean()), halving_error(covered[1:], hits.ball_halves)),
    )
