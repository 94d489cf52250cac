"""Density and coverage: like precision and recall, but an outlier among the data cannot spoil them."""

from typing import NamedTuple

import numpy as np

from dcgan_tf.metrics.arrays import Estimate, check_features, standard_error
from dcgan_tf.metrics.neighbors import count_ball_hits, neighbor_radii

NEIGHBOR = 5
MINIMUM_SAMPLES = 50


class DensityCoverage(NamedTuple):
    density: Estimate
    coverage: Estimate


def density_coverage(real: np.ndarray, fake: np.ndarray) -> DensityCoverage:
    """How many real balls, to the fifth neighbour, hold a sample; and what share of them hold any (Naeem et al. 2020).

    Args:
        real, fake: float [samples, features], of one network.

    Returns:
        Density: 0 or more, near 1 for samples like the data. Coverage: 0 to 1; for equal numbers of like samples
        1 - 1/2^5 = 0.97 is expected. The standard errors take the balls as given.

    Raises:
        UserError: fewer than 50 samples, or features not finite.
    """
    check_features("density_coverage", real, fake, minimum=MINIMUM_SAMPLES)
    hits = count_ball_hits(fake, real, neighbor_radii(real, NEIGHBOR))
    density, covered = hits.of_sample / NEIGHBOR, hits.of_ball > 0
    return DensityCoverage(
        Estimate(float(density.mean()), standard_error(density)),
        Estimate(float(covered.mean()), standard_error(covered)),
    )
