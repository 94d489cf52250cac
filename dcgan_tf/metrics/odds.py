"""Probability and log-odds of a class from a classifier's logits."""

import numpy as np
from scipy.special import expit, logsumexp


def log_odds(logits: np.ndarray, number: int) -> np.ndarray:
    """The logarithm of the probability of a class divided by that of all others.

    Unlike a probability, it does not saturate, so a linear function can be fitted to it.

    Args:
        logits: float [N, classes], at least two classes.
        number: Number of the class.

    Returns:
        float64 [N].
    """
    logits = logits.astype(np.float64)
    return logits[:, number] - logsumexp(np.delete(logits, number, axis=1), axis=1)


def probability(logits: np.ndarray, number: int) -> np.ndarray:
    """The probability of a class, float64 [N] from 0 to 1, for logits float [N, classes]."""
    return expit(log_odds(logits, number))
