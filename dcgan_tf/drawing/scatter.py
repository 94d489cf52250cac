"""Scatter plots of points in the plane, which replace the image grids of other runs."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dcgan_tf.data.points import MIXTURES

SIDE_INCHES, DOTS_PER_INCH = 4.0, 100


def draw_scatter(points: np.ndarray, dataset: str) -> np.ndarray:
    """Plots points over the Gaussians of their data set, drawn as circles of three standard deviations.

    Args:
        points: float32 [N, 2].
        dataset: A key of `MIXTURES`.

    Returns:
        uint8 [400, 400, 3].
    """
    mixture = MIXTURES[dataset]
    limit = 1.3 * np.abs(mixture.centers).max()
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    angles = np.linspace(0, 2 * np.pi, 33)
    for center in mixture.centers:
        circle = center[:, None] + 3 * mixture.deviation * np.stack([np.cos(angles), np.sin(angles)])
        axes.plot(*circle, color="tab:orange", linewidth=1)
    axes.scatter(points[:, 0], points[:, 1], s=3, color="tab:blue", alpha=0.5, linewidths=0)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
