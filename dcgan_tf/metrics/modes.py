"""Mode count: how many of a known set of modes occur among the samples, and how evenly."""

from typing import NamedTuple

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import Estimate


class Modes(NamedTuple):
    """The modes of samples.

    Attributes:
        found: Number of modes with at least one sample.
        total: Number of all modes.
        kl: KL divergence in nats of the samples' modes from the uniform distribution: 0 if they are even, log(total) if
            there is only one. It is corrected like `entropy_of_shares`, so it can be slightly below 0.
    """

    found: int
    total: int
    kl: Estimate


def count_modes(modes: np.ndarray, total: int) -> Modes:
    """Counts the modes that appear (Srivastava et al. 2017; Metz et al. 2017).

    Args:
        modes: int [samples], the mode of each sample, from 0 to total - 1.
        total: Number of modes.

    Raises:
        UserError: There are no samples, or a number is not a mode.
    """
    if not len(modes) or modes.min() < 0 or modes.max() >= total:
        raise UserError(f"count_modes: expected modes from 0 to {total - 1}, at least one. Received: {modes[:10]}")
    shares = np.bincount(modes, minlength=total) / len(modes)
    entropy = entropy_of_shares(shares, len(modes))
    return Modes(int((shares > 0).sum()), total, Estimate(float(np.log(total)) - entropy.value, entropy.standard_error))


def entropy_of_shares(shares: np.ndarray, samples: int) -> Estimate:
    """Estimates the entropy in nats of the distribution that samples were drawn from (Miller 1955).

    The entropy of the shares themselves is too small, because random fluctuations make them uneven: by 0.05 for 10,000
    samples of 1,000 equally likely classes. The correction adds (number of classes seen - 1) / (2 * samples).

    Args:
        shares: float [classes], the shares of the samples, which sum to 1.
        samples: Number of samples.

    Returns:
        The entropy, and its standard error for independent samples.
    """
    seen = shares[shares > 0]
    surprise = -np.log(seen)
    entropy = float(seen @ surprise)
    variance = max(0.0, float(seen @ surprise**2) - entropy**2)
    return Estimate(entropy + (len(seen) - 1) / (2 * samples), float(np.sqrt(variance / samples)))


def stacked_modes(digits: np.ndarray) -> np.ndarray:
    """The mode of Stacked MNIST, 0 to 999, for the digits int [samples, 3] in the red, green and blue channels."""
    return digits @ np.array([100, 10, 1])
