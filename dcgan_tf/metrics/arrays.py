"""What the metrics share: estimates with standard errors, checks of their input, and random blocks."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from dcgan_tf.errors import UserError

JACKKNIFE_BLOCKS = 10
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A metric estimated from samples.

    Attributes:
        value: The estimate.
        standard_error: Its standard error, estimated from the samples; None for a count.
    """

    value: float
    standard_error: float | None


def check_features(metric: str, *sets: np.ndarray, minimum: int) -> None:
    """Refuses features that would give a meaningless result.

    Args:
        metric: Name of the metric, for the message.
        sets: Sets of features, each float [samples, features].
        minimum: Number of samples that each set needs.

    Raises:
        UserError: There are too few samples, features are not finite, or the sets are from different networks.
    """
    for features in sets:
        if features.ndim != 2 or features.shape[1] != sets[0].shape[1]:
            raise UserError(
                f"{metric}: expected features [samples, {sets[0].shape[-1]}] of one network. Received: {features.shape}"
            )
        if len(features) < minimum:
            raise UserError(f"{metric}: expected at least {minimum} samples. Received: {len(features)}")
        if not np.isfinite(features).all():
            bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
            raise UserError(
                f"{metric}: {len(bad)} of {len(features)} samples have features that are not finite, the first at "
                f"{bad[0]}. The generator or the feature network is broken; try an earlier `checkpoint`"
            )


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of independent values [N]."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def confidence_interval(values: np.ndarray) -> float:
    """Half the width of the 95% confidence interval of the mean of independent values [N], by Student's t."""
    return float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * standard_error(values)


def jackknife_error(*left_out: Sequence[float] | np.ndarray) -> float:
    """The standard error of a metric by the block jackknife.

    Args:
        left_out: For each set of samples, the values of the metric with each block of that set left out.
    """
    return float(np.sqrt(sum((len(values) - 1) * np.var(values) for values in left_out)))


def random_order(count: int, key: int) -> np.ndarray:
    """A permutation int64 [count] that depends only on the count and the key.

    Data is often sorted by class, and so are conditional samples. Splitting samples into blocks requires blocks that
    are alike. Blocks of one class each would differ far too much, and the inception score of a single class is 1.
    """
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)


def random_blocks(values: np.ndarray, blocks: int, key: int) -> list[np.ndarray]:
    """Splits rows [N, ...] at random into blocks whose sizes differ by at most one.

    Args:
        values: One row per sample.
        blocks: Number of blocks.
        key: Random key. Two sets whose blocks are paired need different keys: if both are sorted by class, the pairs
            would otherwise match by class.
    """
    return np.array_split(values[random_order(len(values), key)], blocks)


def slices(count: int, size: int) -> Iterator[slice]:
    """Divides ``count`` rows into slices of ``size`` rows. The last slice may be shorter."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
