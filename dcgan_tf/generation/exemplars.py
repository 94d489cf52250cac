"""Proposals of exemplars for a vector: the seeds that show a property most clearly."""

from collections.abc import Callable

import numpy as np

from dcgan_tf.generation.measures import slant, stroke_thickness

# Property -> score of images; the images with the highest scores show the property most clearly.
PROPOSALS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "thick": stroke_thickness,
    "thin": lambda images: -stroke_thickness(images),
    "right": slant,
    "left": lambda images: -slant(images),
    "upright": lambda images: -np.abs(slant(images)),
}
# Minimum probability that a classifier must give to a class.
SURE = 0.95


def best_rows(scores: np.ndarray, count: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """The rows with the highest scores, float [N], the highest first. ``allowed``, bool [N], excludes rows."""
    rows = np.argsort(-scores, kind="stable")
    return rows[:count] if allowed is None else rows[allowed[rows]][:count]
