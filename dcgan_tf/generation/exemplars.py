"""Which seeds show something most clearly: proposals for the exemplars of a vector."""

from collections.abc import Callable

import numpy as np

from dcgan_tf.generation.measures import slant, stroke_thickness

# What is looked for -> a score of images, the highest of which show it most.
PROPOSALS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "thick": stroke_thickness,
    "thin": lambda images: -stroke_thickness(images),
    "right": slant,
    "left": lambda images: -slant(images),
    "upright": lambda images: -np.abs(slant(images)),
}
# A classifier has to be this sure of a class.
SURE = 0.95


def best_rows(scores: np.ndarray, count: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """Rows of the highest scores float [N] among those allowed bool [N], the highest first; fewer if there are."""
    rows = np.argsort(-scores, kind="stable")
    return rows[:count] if allowed is None else rows[allowed[rows]][:count]
