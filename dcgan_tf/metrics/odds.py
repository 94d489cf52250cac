"""How sure a classifier is of one of its classes."""

import numpy as np
from scipy.special import expit, logsumexp


def log_odds(logits: np.ndarray, number: int) -> np.ndarray:
    """Logarithm of the probability of a class over that of all others.

    Unlike a probability it does not level off, so that a linear function can follow it.

    Args:
        logits: float [N, classes], at least two classes.
        number: Of the class.

    Returns:
        float64 [N].
    """
    logits = logits.astype(np.float64)
    return logits[:, number] - logsumexp(np.delete(logits, number, axis=1), axis=1)


def probability(logits: np.ndarray, number: int) -> np.ndarray:
    """The probability of a class, float64 [N] from 0 to 1, of logits float [N, classes]."""
    return expit(log_odds(logits, number))
