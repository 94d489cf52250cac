"""Improved precision (are the samples realistic?) and recall (do they cover the diversity of the data?)."""

from typing import NamedTuple

import numpy as np

from dcgan_tf.metrics.arrays import Estimate, check_features
from dcgan_tf.metrics.neighbors import count_ball_hits, halving_error

NEIGHBOR = 3
MIN_SAMPLES = 50


class PrecisionRecall(NamedTuple):
    precision: Estimate
    recall: Estimate


def precision_recall(real: np.ndarray, fake: np.ndarray) -> PrecisionRecall:
    """Computes the shares of samples that lie on the other set's manifold (Kynkaanniemi et al. 2019).

    A manifold is the union of balls around the samples of a set, each of which reaches to the third nearest neighbor.

    Args:
        real, fake: float [samples, features], from the same network. Both metrics depend on the numbers of samples.

    Returns:
        Two shares from 0 to 1. The standard errors refer to a new draw of both sets.

    Raises:
        UserError: There are fewer than 50 samples, or features are not finite.
    """
    check_features("precision_recall", real, fake, minimum=MIN_SAMPLES)

    def share(samples: np.ndarray, manifold: np.ndarray) -> Estimate:
        hits = count_ball_hits(samples, manifold, NEIGHBOR)
        inside = hits.of_sample > 0
        return Estimate(float(inside[0].mean()), halving_error(inside[1:], hits.sample_halves))

    return PrecisionRecall(share(fake, real), share(real, fake))
