"""Class balance: are all classes among the samples, as often as in the data?"""

from typing import NamedTuple

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import Estimate
from dcgan_tf.metrics.modes import entropy_of_shares


class ClassBalance(NamedTuple):
    """How the samples spread over the classes.

    Attributes:
        entropy: in nats, as `entropy_of_shares` estimates it; log(classes) where all are equally frequent.
        missing: numbers of the classes without any sample.
        shares: float [classes].
    """

    entropy: Estimate
    missing: tuple[int, ...]
    shares: np.ndarray


def class_balance(labels: np.ndarray, classes: int) -> ClassBalance:
    """Counts classes.

    Args:
        labels: int [samples], from 0 to classes - 1, as a classifier gives them.
        classes: how many there are.

    Raises:
        UserError: no samples, or a number that is no class.
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"class_balance: expected classes from 0 to {classes - 1}. Received: {labels[:10]}")
    shares = np.bincount(labels, minlength=classes) / len(labels)
    missing = tuple(int(number) for number in np.flatnonzero(shares == 0))
    return ClassBalance(entropy_of_shares(shares, len(labels)), missing, shares)
