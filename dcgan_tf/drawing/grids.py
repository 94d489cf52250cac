"""Grids and PNG files. Needs no TensorFlow, so that a client that only draws starts quickly."""

import io
import pathlib

import numpy as np
from PIL import Image, PngImagePlugin

from dcgan_tf import files
from dcgan_tf.data.tree import SOFTWARE

GRID_MARGIN = 2
# Tiles smaller than this are enlarged by a whole factor, so that they are easy to see.
MIN_TILE = 48


def make_grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Arranges images row by row on white, in a nearly square grid by default.

    Args:
        images: uint8 [N, height, width, 1, 3 or 4]. With four channels, the space between them is transparent.
        columns: Number of columns; None for a nearly square grid.

    Returns:
        uint8 [grid height, grid width, 1, 3 or 4].
    """
    count, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    factor = -(-MIN_TILE // min(height, width))
    tiles = images.repeat(factor, axis=1).repeat(factor, axis=2)
    pitch_y, pitch_x = factor * height + GRID_MARGIN, factor * width + GRID_MARGIN
    grid = np.full((rows * pitch_y + GRID_MARGIN, columns * pitch_x + GRID_MARGIN, channels), 255, np.uint8)
    grid[..., 3:] = 0
    for index, tile in enumerate(tiles):
        top = GRID_MARGIN + index // columns * pitch_y
        left = GRID_MARGIN + index % columns * pitch_x
        grid[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return grid


def save_png(image: np.ndarray, path: pathlib.Path, *, sheet: bool = True) -> None:
    """Writes an image as a PNG file, whole or not at all.

    Args:
        image: uint8 [height, width, 1, 3 or 4].
        path: Path of the file.
        sheet: Whether to mark the file as a sheet, so that it is not used as data; see `is_sheet`. False for a single
            image.
    """
    mark = PngImagePlugin.PngInfo()
    if sheet:
        mark.add_text("Software", SOFTWARE)
    with files.replacing(path) as temporary:
        to_picture(image).save(temporary, format="PNG", pnginfo=mark)


def to_png(image: np.ndarray) -> bytes:
    """An image uint8 [height, width, 1, 3 or 4] as the contents of a PNG file."""
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format="PNG")
    return buffer.getvalue()


def to_picture(image: np.ndarray) -> Image.Image:
    """Converts uint8 [height, width, 1, 3 or 4] to a Pillow image."""
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def on_white(picture: Image.Image) -> Image.Image:
    """Puts a transparent picture on white, for files and sheets without transparency. Others stay as they are."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Converts uint8 [height, width, 1, 3 or 4] to uint8 [height, width, 3], with what is transparent put on white."""
    return np.asarray(on_white(to_picture(image)).convert("RGB"))
