"""Improved precision (are samples realistic?) and recall (is the data's variety covered?)."""

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
    """Shares of samples that lie on the other set's manifold, balls to the third neighbour (Kynkaanniemi et al. 2019).

    Args:
        real, fake: float [samples, features], of one network. Both figures depend on the numbers of samples.

    Returns:
        Two shares from 0 to 1. The standard errors are those of a new draw of both sets.

    Raises:
        UserError: fewer than 50 samples, or features not finite.
    """
    check_features("precision_recall", real, fake, minimum=MIN_SAMPLES)

    def share(samples: np.ndarray, manifold: np.ndarray) -> Estimate:
        hits = count_ball_hits(samples, manifold, NEIGHBOR)
        inside = hits.of_sample > 0
        return Estimate(float(inside[0].mean()), halving_error(inside[1:], hits.sample_halves))

    return PrecisionRecall(share(fake, real), share(real, fake))
