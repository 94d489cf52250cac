"""From one picture, whatever its format and mode, to one row of the prepared array."""

import contextlib
import dataclasses
import os
import pathlib
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, ImageColor, ImageOps

from dcgan_tf.config.settings import Config

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
# A random crop is cut from rows that are this much larger than the image on each side.
RANDOM_CROP_MARGIN = 1 / 8

# The number of pixels is checked against the user's own limit, from the header, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


# What Pillow's decoders raise on damaged files, whose every byte can be wrong.
DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError,
    RuntimeError, AssertionError, struct.error, zlib.error,
)  # fmt: skip


class BadPictureError(Exception):
    """A file that cannot be used, with the reason in a few words."""


@dataclasses.dataclass(frozen=True)
class NamedPicture:
    """One picture of a source, decoded when asked for.

    Attributes:
        name: of its file, or its place in the data set.
        label: its class, -1 where there are none.
        load: decodes it, turned upright; raises BadPictureError.
    """

    name: str
    label: int
    load: Callable[[], Image.Image]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a picture becomes a row: uint8 [height, width, channels].

    Attributes:
        height, width: pixels of the row.
        channels: 1 for gray, 3 for RGB.
        crop: "none" squeezes the whole picture into the row; otherwise its centre is cut to the row's aspect ratio.
        crop_size: side in pixels of a centred square that is cut first; 0 for none.
        background: what shows through transparent pixels, as Pillow names colours.
        max_pixels: pictures with more are refused unopened.
    """

    height: int
    width: int
    channels: int
    crop: str = "center"
    crop_size: int = 0
    background: str = "white"
    max_pixels: int = 100_000_000

    @classmethod
    def of(cls, config: Config) -> "Recipe":
        """The recipe of a complete configuration."""
        height, width = config.height_and_width
        if config.crop == "random":
            height, width = (side + round(side * RANDOM_CROP_MARGIN) for side in (height, width))
        return cls(
            height,
            width,
            int(config.channels),
            config.crop,
            config.crop_size,
            config.background,
            config.max_pixels,
        )


def open_picture(path: pathlib.Path, max_pixels: int) -> Image.Image:
    """Reads a file's header, not its pixels.

    Raises:
        BadPictureError: not a picture, or one of more than ``max_pixels`` pixels.
    """
    try:
        picture = Image.open(path)
    except DECODER_ERRORS as error:
        if path.is_symlink() and not path.exists():
            raise BadPictureError("a link to nowhere") from error
        raise BadPictureError("not a picture that can be read" if os.path.getsize(path) else "empty file") from error
    if picture.width * picture.height > max_pixels:
        picture.close()
        raise BadPictureError(f"{picture.width}x{picture.height} pixels are more than --max_pixels={max_pixels}")
    return picture


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Height and width of a picture once it is turned as its EXIF data say."""
    orientation = 1
    with contextlib.suppress(*DECODER_ERRORS):
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    turned = orientation in (5, 6, 7, 8)
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def load_picture(path: pathlib.Path, max_pixels: int) -> Image.Image:
    """Decodes a file, and turns it upright where its EXIF data says how it was taken.

    Raises:
        BadPictureError: the file cannot be used.
    """
    with open_picture(path, max_pixels) as picture:
        try:
            picture.load()
        except DECODER_ERRORS as error:
            raise BadPictureError(f"truncated or damaged: {error}") from error
        kind = picture.format
        # Damaged EXIF data spoil no picture: it is used as it is stored.
        with contextlib.suppress(*DECODER_ERRORS):
            picture = ImageOps.exif_transpose(picture)
        picture.format = kind
        return picture


def make_row(picture: Image.Image, recipe: Recipe) -> np.ndarray:
    """Converts, crops and resizes (Lanczos, antialiased) a decoded picture.

    Returns:
        uint8 [recipe.height, recipe.width, recipe.channels].
    """
    picture = to_gray_or_rgb(picture, recipe.channels, recipe.background)
    left, top, right, bottom = 0.0, 0.0, float(picture.width), float(picture.height)
    if recipe.crop_size:
        left, top, right, bottom = _centred(left, top, right, bottom, recipe.crop_size, recipe.crop_size)
    if recipe.crop != "none":
        scale = min((right - left) / recipe.width, (bottom - top) / recipe.height)
        left, top, right, bottom = _centred(left, top, right, bottom, scale * recipe.width, scale * recipe.height)
    size = (recipe.width, recipe.height)
    if (picture.size, (left, top, right, bottom)) != (size, (0, 0, *size)):
        picture = picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    return np.asarray(picture).reshape(recipe.height, recipe.width, recipe.channels)


def is_gray(picture: Image.Image) -> bool:
    """Whether the mode of a picture has no colour. A palette may have, so it counts as colour."""
    return picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I")


def to_gray_or_rgb(picture: Image.Image, channels: int, background: str) -> Image.Image:
    """Converts a picture of any mode to "L" or "RGB".

    16-bit gray is scaled to 8 bits, CMYK and palettes become RGB, transparent pixels show the background, and
    colour becomes gray by the luma of ITU-R 601.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, np.float32)
        # 16-bit files: 65535 is white. What fits into a byte was stored in a wider one only.
        scaled = values / 257 if picture.mode.startswith("I;16") or values.max(initial=0) > 255 else values
        picture = Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, ImageColor.getrgb(background))
        picture = Image.alpha_composite(ground, picture)
    mode = "L" if channels == 1 else "RGB"
    if picture.mode == mode:
        return picture
    if mode == "L" and picture.mode == "CMYK":
        picture = picture.convert("RGB")
    return picture.convert(mode)


def _centred(
    left: float, top: float, right: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """A box of at most ``width x height`` in the middle of another."""
    width, height = min(width, right - left), min(height, bottom - top)
    left, top = (left + right - width) / 2, (top + bottom - height) / 2
    return left, top, left + width, top + height
