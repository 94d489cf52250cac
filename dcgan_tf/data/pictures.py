"""Converts a picture of any format and mode to one row of the prepared array."""

import contextlib
import dataclasses
import errno
import io
import pathlib
import stat
import struct
import sys
from collections.abc import Callable, Iterator

import numpy as np
from PIL import ExifTags, Image, ImageColor, ImageFile, ImageOps, PngImagePlugin

from dcgan_tf.config.settings import Config
from dcgan_tf.data.colors import convert_colors
from dcgan_tf.data.damage import DECODER_ERRORS, BadPictureError, damage_named, refuse_faults_of_the_machine
from dcgan_tf.errors import UserError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
# The only decoders that are used, whatever a file's name ends in. Pillow has dozens more, and one starts Ghostscript.
# Of a JPEG file with several pictures (MPO), the first is used.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
# A random crop is cut from rows that are this much larger than the image on each side.
RANDOM_CROP_MARGIN = 1 / 8
# A file on disk, or the contents of a file that is stored inside another one
PictureFile = pathlib.Path | io.BytesIO
# Factors that make white 255 in gray pictures of fewer bits, by Pillow's names for their modes.
GRAY_SCALES = {"1": 255, "L;2": 85, "L;4": 17}
# Metadata chunks of a PNG file. They are skipped if they are damaged or too large, as other viewers do.
PNG_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs", b"gAMA", b"cHRM", b"sRGB"})

# Pillow's limit is off: the number of pixels in the header is checked against the user's limit before decoding.
Image.MAX_IMAGE_PIXELS = None
# Pillow allows 1 MiB, which the color profiles of some printers exceed.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20

# The operating system's errors for a link that leads nowhere or to itself.
NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class _PngStream(PngImagePlugin.PngStream):
    """Ignores damaged metadata, which would make Pillow refuse the whole picture."""

    def call(self, cid: bytes, pos: int, length: int) -> bytes:
        try:
            return super().call(cid, pos, length)
        except (ValueError, LookupError, SyntaxError, struct.error):
            if cid not in PNG_METADATA or self.fp is None:
                raise
            self.fp.seek(pos)
            return self.fp.read(length)

    def crc(self, cid: bytes, data: bytes) -> None:
        if cid in PNG_METADATA:
            self.crc_skip(cid, data)
        else:
            super().crc(cid, data)


PngImagePlugin.PngStream = _PngStream  # type: ignore[misc]  # Pillow offers no other hook.


@dataclasses.dataclass(frozen=True)
class NamedPicture:
    """One picture of a source, decoded when asked for.

    Attributes:
        name: Printable name of its file, or its place in the data set.
        label: Its class; -1 if there are no classes.
        load: Decodes it and turns it upright; raises BadPictureError.
    """

    name: str
    label: int
    load: Callable[[], Image.Image]


@dataclasses.dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded.

    Attributes:
        max_pixels: Total number of pixels.
        max_side: Number of pixels on the longer side. Resizing needs memory in proportion to it, even if the other
            side is short.
    """

    max_pixels: int = Config.max_pixels
    max_side: int = Config.max_side

    @classmethod
    def of(cls, config: Config) -> "Limits":
        """The limits of a configuration."""
        return cls(config.max_pixels, config.max_side)


# No limits, for files of which only the header is read.
ANY_SIZE = Limits(max_pixels=sys.maxsize, max_side=sys.maxsize)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a picture becomes a row: uint8 [height, width, channels].

    Attributes:
        height, width: Size of the row in pixels.
        channels: 1 for gray, 3 for RGB, 4 for RGBA.
        crop: "none" resizes the whole picture to the row's size; otherwise its center is cropped to the row's aspect
            ratio first.
        crop_size: Side in pixels of a centered square that is cropped before anything else; 0 for none.
        background: Color behind transparent pixels, as Pillow names colors; with four channels, the color of pixels
            that are fully transparent.
        limits: Larger pictures are refused before they are decoded.
    """

    height: int
    width: int
    channels: int
    crop: str = "center"
    crop_size: int = 0
    background: str = "white"
    limits: Limits = Limits()

    @classmethod
    def of(cls, config: Config) -> "Recipe":
        """The recipe of a complete configuration."""
        height, width = config.height_and_width
        if config.crop == "random":
            height, width = (side + round(side * RANDOM_CROP_MARGIN) for side in (height, width))
        channels = int(config.channels)
        return cls(height, width, channels, config.crop, config.crop_size, config.background, Limits.of(config))


def open_picture(file: PictureFile, limits: Limits) -> ImageFile.ImageFile:
    """Reads the header of a file, but not its pixels.

    Raises:
        BadPictureError: The file is not a regular file, not a picture in one of ``FORMATS``, or beyond the limits.
    """
    size_in_bytes = file.getbuffer().nbytes if isinstance(file, io.BytesIO) else _size_of_regular_file(file)
    try:
        picture = Image.open(file, formats=FORMATS)
    except DECODER_ERRORS as error:
        refuse_faults_of_the_machine(error, file)
        raise BadPictureError("not a picture in a supported format" if size_in_bytes else "empty file") from error
    size = f"{picture.width}x{picture.height} pixels are more than"
    if picture.width * picture.height > limits.max_pixels:
        picture.close()
        raise BadPictureError(f"{size} `max_pixels={limits.max_pixels}`")
    if max(picture.size) > limits.max_side:
        picture.close()
        raise BadPictureError(f"{size} `max_side={limits.max_side}` on one side")
    return picture


def _size_of_regular_file(path: pathlib.Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in NOWHERE and path.is_symlink():
            raise BadPictureError("broken link") from error
        refuse_faults_of_the_machine(error, path)
        raise BadPictureError("cannot be read") from error
    if not stat.S_ISREG(status.st_mode):  # Opening a pipe or a device would wait for data.
        raise BadPictureError("not a regular file")
    return status.st_size


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """The height and width of a picture after it is turned upright by its EXIF data."""
    orientation = 1
    with contextlib.suppress(*DECODER_ERRORS):
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    turned = orientation in (5, 6, 7, 8)
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def load_picture(file: PictureFile, limits: Limits) -> Image.Image:
    """Decodes a file and turns it upright if its EXIF data gives the orientation.

    Raises:
        BadPictureError: The file cannot be used.
    """
    with open_picture(file, limits) as stored:
        _mend_transparency(stored)
        with damage_named(file):
            stored.load()
        picture: Image.Image = stored
        # A picture with damaged EXIF data is used as it is stored.
        with contextlib.suppress(*DECODER_ERRORS):
            picture = ImageOps.exif_transpose(stored)
        picture.format = stored.format
        return picture


@contextlib.contextmanager
def memory_for(name: object) -> Iterator[None]:
    """Names the picture whose decoding ran out of memory.

    Raises:
        UserError: Memory ran out. The picture may be fine, so it does not count as bad.
    """
    try:
        yield
    except MemoryError:
        raise UserError(
            f"'{name}': not enough memory to decode this picture. Free some, or exclude pictures of its size with a "
            "smaller `max_pixels` or `max_side`"
        ) from None


@damage_named()
def make_row(picture: Image.Image, recipe: Recipe) -> np.ndarray:
    """Converts, crops and resizes a decoded picture (Lanczos, with antialiasing).

    Returns:
        uint8 [recipe.height, recipe.width, recipe.channels].

    Raises:
        BadPictureError: The picture cannot be converted.
    """
    picture = convert_colors(picture, recipe.channels, recipe.background)
    left, top, right, bottom = 0.0, 0.0, float(picture.width), float(picture.height)
    if recipe.crop_size:
        left, top, right, bottom = _centered(left, top, right, bottom, recipe.crop_size, recipe.crop_size)
    if recipe.crop != "none":
        scale = min((right - left) / recipe.width, (bottom - top) / recipe.height)
        left, top, right, bottom = _centered(left, top, right, bottom, scale * recipe.width, scale * recipe.height)
    size = (recipe.width, recipe.height)
    if (picture.size, (left, top, right, bottom)) != (size, (0, 0, *size)):
        picture = picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    row = np.asarray(picture).reshape(recipe.height, recipe.width, recipe.channels)
    if recipe.channels == 4:  # The color of a pixel that nobody can see is arbitrary, and networks would learn it.
        row = row.copy()
        row[row[:, :, 3] == 0, :3] = ImageColor.getcolor(recipe.background, "RGB")
    return row


def _mend_transparency(picture: ImageFile.ImageFile) -> None:
    """Scales the transparent color of a PNG file to the decoded bit depth, which Pillow does not do."""
    if picture.format != "PNG" or "transparency" not in picture.info or not picture.tile:
        return
    stored, transparent = picture.tile[0][3], picture.info["transparency"]
    if stored in GRAY_SCALES:
        picture.info["transparency"] = min(255, transparent * GRAY_SCALES[stored])
    elif stored == "RGB;16B":
        picture.info["transparency"] = tuple(level >> 8 for level in transparent)


def _centered(
    left: float, top: float, right: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """A box of at most ``width x height`` in the center of another box."""
    width, height = min(width, right - left), min(height, bottom - top)
    left, top = (left + right - width) / 2, (top + bottom - height) / 2
    return left, top, left + width, top + height
