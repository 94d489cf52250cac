"""Class balance: whether all classes occur among the samples, and how evenly."""

from typing import NamedTuple

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import Estimate
from dcgan_tf.metrics.modes import entropy_of_shares


class ClassBalance(NamedTuple):
    """The distribution of the samples over the classes.

    Attributes:
        entropy: Entropy in nats, estimated by `entropy_of_shares`; log(classes) if all are equally frequent.
        missing: Numbers of the classes without any sample.
        shares: float [classes], the share of the samples in each class.
    """

    entropy: Estimate
    missing: tuple[int, ...]
    shares: np.ndarray


def class_balance(labels: np.ndarray, classes: int) -> ClassBalance:
    """Counts the samples of each class.

    Args:
        labels: int [samples], from 0 to classes - 1, as predicted by a classifier.
        classes: Number of classes.

    Raises:
        UserError: There are no samples, or a label is not a class.
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"class_balance: expected classes from 0 to {classes - 1}. Received: {labels[:10]}")
    shares = np.bincount(labels, minlength=classes) / len(labels)
    missing = tuple(int(number) for number in np.flatnonzero(shares == 0))
    return ClassBalance(entropy_of_shares(shares, len(labels)), missing, shares)
