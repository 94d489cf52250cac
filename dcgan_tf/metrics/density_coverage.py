"""Density and coverage: like precision and recall, but an outlier among the data cannot spoil them."""

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
    """How many real balls, to the fifth neighbour, hold a sample; and what share of them hold any (Naeem et al. 2020).

    Args:
        real, fake: float [samples, features], of one network.

    Returns:
        Density: 0 or more, near 1 for samples like the data. Coverage: 0 to 1; for equal numbers of like samples
        1 - 1/2^5 = 0.97 is expected. The standard errors are those of a new draw of both sets.

    Raises:
        UserError: fewer than 50 samples, or features not finite.
    """
    check_features("density_coverage", real, fake, minimum=MIN_SAMPLES)
    hits = count_ball_hits(fake, real, NEIGHBOR)
    density, covered = hits.of_sample / NEIGHBOR, hits.of_ball > 0
    return DensityCoverage(
        Estimate(float(density[0].mean()), halving_error(density[1:], hits.sample_halves)),
        Estimate(float(covered[0].mean()), halving_error(covered[1:], hits.ball_halves)),
    )
