"""Samples of a training as one picture."""

import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.grids import make_grid

GRID_COLUMNS = 8  # Of a conditional run, whose rows are classes


def draw_samples(samples: np.ndarray, config: Config) -> np.ndarray:
    """The picture of samples, generated or real: a grid, with a row a class of a conditional run; of points, a plot.

    Returns:
        uint8 [height, width, 1 or 3].
    """
    if config.draws_points:
        from dcgan_tf.drawing.scatter import draw_scatter

        return draw_scatter(samples, config.dataset)
    return make_grid(samples, columns=GRID_COLUMNS if config.conditional else None)
