"""Kernel distance: unbiased, so it may be compared between different numbers of samples."""

import numpy as np

from dcgan_tf.metrics.arrays import Estimate, check_features, random_order, standard_error

BLOCK_SIZE = 1000
MIN_BLOCKS = 10
MIN_SAMPLES = 10 * MIN_BLOCKS


def kernel_distance(features_a: np.ndarray, features_b: np.ndarray) -> Estimate:
    """Squared maximum mean discrepancy with the kernel (x.y / features + 1)^3 (Binkowski et al. 2018).

    The mean over disjoint random blocks of at most 1,000 samples, whose independence gives the standard error. Unlike
    Inception's features in the paper, those of any network may be given.

    Args:
        features_a, features_b: float [samples, features], of one network.

    Returns:
        The distance; a little below 0 at times where both sets are alike.

    Raises:
        UserError: fewer than 100 samples, or features not finite.
    """
    check_features("kernel_distance", features_a, features_b, minimum=MIN_SAMPLES)
    samples = min(len(features_a), len(features_b))
    blocks = max(MIN_BLOCKS, samples // BLOCK_SIZE)
    size = samples // blocks
    rows_a, rows_b = (
        random_order(len(features), key)[: blocks * size].reshape(blocks, size)
        for key, features in enumerate((features_a, features_b))
    )
    distances = [squared_discrepancy(features_a[a], features_b[b]) for a, b in zip(rows_a, rows_b, strict=True)]
    return Estimate(float(np.mean(distances)), standard_error(np.array(distances)))


def squared_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate on float [samples, features] each: pairs of a sample with itself do not count."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    within = sum((np.sum(k := _kernel(x, x)) - np.trace(k)) / (len(x) * (len(x) - 1)) for x in (a, b))
    return float(within - 2 * np.mean(_kernel(a, b)))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3
