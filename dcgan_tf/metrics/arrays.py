"""What every measure needs: a value with its standard error, and a check of what it is given."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from dcgan_tf.errors import UserError

JACKKNIFE_BLOCKS = 10
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A figure estimated from samples.

    Attributes:
        value: the figure.
        standard_error: of it, from the samples; None where it is a count.
    """

    value: float
    standard_error: float | None


def check_features(metric: str, *sets: np.ndarray, minimum: int) -> None:
    """Refuses what would give a meaningless number.

    Args:
        metric: its name, for the message.
        sets: float [samples, features] each.
        minimum: samples that each set needs.

    Raises:
        UserError: too few samples, NaN or infinite features, or sets of different networks.
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
    """Standard error of the mean of independent values [N]."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def confidence_interval(values: np.ndarray) -> float:
    """Half width of the 95 % confidence interval of the mean of independent values [N], by Student's t."""
    return float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * standard_error(values)


def jackknife_error(*left_out: Sequence[float] | np.ndarray) -> float:
    """Standard error of a figure by the block jackknife.

    Args:
        left_out: for each set of samples that the figure depends on, its values with each block of that set left out.
    """
    return float(np.sqrt(sum((len(values) - 1) * np.var(values) for values in left_out)))


def random_order(count: int, key: int) -> np.ndarray:
    """A permutation int64 [count], always the same one for a count and a key.

    Data are often sorted by class, and conditional samples with them. Whatever cuts samples into blocks needs blocks
    that are alike: blocks of one class each differ far more than samples do, and a score of one class is 1.
    """
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)


def random_blocks(values: np.ndarray, blocks: int, key: int) -> list[np.ndarray]:
    """Cuts rows [N, ...] into blocks of equal size, give or take one, in `random_order`.

    Args:
        values: one row per sample.
        blocks: how many.
        key: different for two sets whose blocks are paired: sorted alike, they would otherwise be matched by class.
    """
    return np.array_split(values[random_order(len(values), key)], blocks)


def slices(count: int, size: int) -> Iterator[slice]:
    """Divides ``count`` rows into slices of ``size``, the last of which may be shorter."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
