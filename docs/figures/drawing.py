"""Functions that the figures share: writing the files and drawing tables of numbers."""

import os
import pathlib

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = pathlib.Path(__file__).parents[1] / "images" / "how-it-works"
DOTS_PER_INCH = 110


def save(figure: Figure, name: str) -> None:
    """Writes docs/images/how-it-works/NAME.png, whole or not at all."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
    os.replace(temporary, path)
    print(f"Wrote docs/images/how-it-works/{path.name}, {path.stat().st_size:,} bytes")


def draw_numbers(axes: Axes, numbers: np.ndarray, title: str, *, colors: str = "Blues", fontsize: int = 8) -> None:
    """Draws a matrix with its numbers in the cells. Zeros are pale."""
    largest = np.abs(numbers).max()
    axes.imshow(np.abs(numbers), cmap=colors, vmin=0, vmax=2 * largest)
    for (row, column), number in np.ndenumerate(numbers):
        axes.text(
            column, row, f"{number:g}", ha="center", va="center", fontsize=fontsize, color="black" if number else "0.75"
        )
    axes.set_title(title, fontsize=9)
    axes.set(xticks=np.arange(-0.5, numbers.shape[1]), yticks=np.arange(-0.5, numbers.shape[0]))
    axes.grid(color="white", linewidth=1)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
