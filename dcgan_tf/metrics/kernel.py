"""Kernel distance, which is unbiased and therefore comparable between different numbers of samples."""

import numpy as np

from dcgan_tf.metrics.arrays import Estimate, check_features, random_order, standard_error

BLOCK_SIZE = 1000
MIN_BLOCKS = 10
MIN_SAMPLES = 10 * MIN_BLOCKS


def kernel_distance(features_a: np.ndarray, features_b: np.ndarray) -> Estimate:
    """The squared maximum mean discrepancy with the kernel (x.y / features + 1)^3 (Binkowski et al. 2018).

    It is the mean over disjoint random blocks of at most 1,000 samples. The blocks are independent, which gives the
    standard error. The paper uses Inception's features; here, those of any network may be used.

    Args:
        features_a, features_b: float [samples, features], from the same network.

    Returns:
        The distance. For similar sets it can be slightly below 0.

    Raises:
        UserError: There are fewer than 100 samples, or features are not finite.
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
    """The unbiased estimate on two sets float [samples, features], without pairs of a sample with itself."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    within = sum((np.sum(k := _kernel(x, x)) - np.trace(k)) / (len(x) * (len(x) - 1)) for x in (a, b))
    return float(within - 2 * np.mean(_kernel(a, b)))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3
