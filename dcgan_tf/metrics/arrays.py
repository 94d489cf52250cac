"""What every measure needs: a value with its standard error, and a check of what it is given."""

from typing import NamedTuple

import numpy as np

from dcgan_tf.errors import UserError


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
                f"{bad[0]}. The generator or the feature network is broken; try an earlier --checkpoint"
            )


def standard_error(values: np.ndarray) -> float:
    """Of the mean of independent values [N]."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
