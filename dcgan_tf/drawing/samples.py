"""One picture of the samples of a training run."""

import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.grids import make_grid

GRID_COLUMNS = 8  # For a conditional run, whose rows are classes


def draw_samples(samples: np.ndarray, config: Config) -> np.ndarray:
    """Draws samples, generated or real, as a grid, or as a plot if they are points.

    In the grid of a conditional run, each row is one class.

    Returns:
        uint8 [height, width, 1, 3 or 4].
    """
    if config.draws_points:
        from dcgan_tf.drawing.scatter import draw_scatter

        return draw_scatter(samples, config.dataset)
    return make_grid(samples, columns=GRID_COLUMNS if config.conditional else None)
