"""Pictures of several grids with captions. Needs no TensorFlow."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcgan_tf.drawing.grids import make_grid, to_rgb

LINE = 16
GAP = 12
FONT_SIZE = 12
NAME_LENGTH = 36


def join_panels(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Arranges pictures from left to right with a caption above each.

    Args:
        panels: Pairs of a caption, of one or more lines, and a picture uint8 [height, width, 1, 3 or 4].

    Returns:
        uint8 [height, width, 3].
    """
    head = LINE * max(caption.count("\n") + 1 for caption, _ in panels)
    widths = [max(picture.shape[1], _width(caption)) for caption, picture in panels]
    height = head + max(picture.shape[0] for _, picture in panels)
    canvas = Image.new("RGB", (sum(widths) + GAP * (len(panels) - 1), height), "white")
    left = 0
    for (caption, picture), width in zip(panels, widths, strict=True):
        ImageDraw.Draw(canvas).multiline_text((left + 2, 0), caption, fill="black", font=_font(), spacing=2)
        canvas.paste(Image.fromarray(to_rgb(picture)), (left, head))
        left += width + GAP
    return np.asarray(canvas)


def caption_tiles(images: np.ndarray, captions: Sequence[str], columns: int) -> np.ndarray:
    """A grid of images uint8 [N, height, width, 1, 3 or 4] with a caption below each."""
    tiles = []
    for image, caption in zip(images, captions, strict=True):
        tile = to_rgb(make_grid(image[None]))
        label = Image.new("RGB", (tile.shape[1], LINE), "white")
        ImageDraw.Draw(label).text((tile.shape[1] // 2, 0), caption, fill="black", font=_font(), anchor="ma")
        tiles.append(np.concatenate([tile, np.asarray(label)]))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    blank = np.full_like(tiles[0], 255)
    return np.concatenate([np.concatenate(row + [blank] * (columns - len(row)), axis=1) for row in rows])


def label_rows(images: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """A grid of images uint8 [rows * columns, height, width, 1, 3 or 4] with names of its rows and columns."""
    grid = to_rgb(make_grid(images, len(columns)))
    left = 8 + max(_width(name) for name in rows)
    canvas = Image.new("RGB", (left + grid.shape[1], LINE + grid.shape[0]), "white")
    canvas.paste(Image.fromarray(grid), (left, LINE))
    draw = ImageDraw.Draw(canvas)
    for number, name in enumerate(rows):
        draw.text((4, LINE + (number + 0.5) * grid.shape[0] / len(rows)), name, "black", _font(), anchor="lm")
    for number, name in enumerate(columns):
        draw.text((left + (number + 0.5) * grid.shape[1] / len(columns), 1), name, "black", _font(), anchor="ma")
    return np.asarray(canvas)


def draw_classes(classes: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """A row of images uint8 [N, height, width, 1, 3 or 4] per class, with a name each. Short rows end in white."""
    columns = max(len(images) for _, images in classes)
    padded = [
        np.concatenate([images, np.full((columns - len(images), *images.shape[1:]), 255, np.uint8)])
        for _, images in classes
    ]
    return label_rows(np.concatenate(padded), [_shorten(name) for name, _ in classes], [""] * columns)


def _shorten(name: str) -> str:
    """A long name with its middle left out."""
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH // 2]}...{name[-NAME_LENGTH // 2 :]}"


def _width(text: str) -> int:
    return max(int(_font().getlength(line)) + 4 for line in text.split("\n"))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)
