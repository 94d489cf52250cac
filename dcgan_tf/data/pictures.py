"""Converts a picture of any format and mode to one row of the prepared array."""

import contextlib
import dataclasses
import errno
import functools
import io
import pathlib
import stat
import struct
import sys
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageColor, ImageFile, ImageOps, PngImagePlugin

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
# The only decoders that are used, whatever a file's name ends in. Pillow has dozens more, and one starts Ghostscript.
# Of a JPEG file with several pictures (MPO), the first is used.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
# A random crop is cut from rows that are this much larger than the image on each side.
RANDOM_CROP_MARGIN = 1 / 8
# A profile that changes no color by more than this many levels counts as sRGB, and its pixels stay as they are.
SAME_COLOR_LEVELS = 1
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
# Exceptions that Pillow's decoders raise on damaged files.
DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError,
    RuntimeError, AssertionError, struct.error, zlib.error,
)  # fmt: skip


class _PngStream(PngImagePlugin.PngStream):
    """Ignores damaged metadata, because of which Pillow would refuse the whole picture."""

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


class BadPictureError(Exception):
    """A file cannot be used; the message is the reason in a few words."""


@contextlib.contextmanager
def _damage_named(path: pathlib.Path | None = None) -> Iterator[None]:
    try:
        yield
    except DECODER_ERRORS as error:
        if path is not None:
            _refuse_faults_of_the_machine(error, path)
        raise BadPictureError(f"truncated or damaged: {error}") from error


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
        channels: 1 for gray, 3 for RGB.
        crop: "none" resizes the whole picture to the row's size; otherwise its center is cropped to the row's aspect
            ratio first.
        crop_size: Side in pixels of a centered square that is cropped before anything else; 0 for none.
        background: Color behind transparent pixels, as Pillow names colors.
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


def open_picture(path: pathlib.Path, limits: Limits) -> ImageFile.ImageFile:
    """Reads the header of a file, but not its pixels.

    Raises:
        BadPictureError: The file is not a regular file, not a picture in one of ``FORMATS``, or beyond the limits.
    """
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in NOWHERE and path.is_symlink():
            raise BadPictureError("broken link") from error
        _refuse_faults_of_the_machine(error, path)
        raise BadPictureError("cannot be read") from error
    if not stat.S_ISREG(status.st_mode):  # Opening a pipe or a device would wait for data.
        raise BadPictureError("not a regular file")
    try:
        picture = Image.open(path, formats=FORMATS)
    except DECODER_ERRORS as error:
        _refuse_faults_of_the_machine(error, path)
        raise BadPictureError("not a picture in a supported format" if status.st_size else "empty file") from error
    size = f"{picture.width}x{picture.height} pixels are more than"
    if picture.width * picture.height > limits.max_pixels:
        picture.close()
        raise BadPictureError(f"{size} `max_pixels={limits.max_pixels}`")
    if max(picture.size) > limits.max_side:
        picture.close()
        raise BadPictureError(f"{size} `max_side={limits.max_side}` on one side")
    return picture


def _refuse_faults_of_the_machine(error: Exception, path: pathlib.Path) -> None:
    """Raises UserError if the operating system could not read a file: once fixed, the picture must not count as bad."""
    # EINVAL is excluded because a damaged file can point to an impossible offset. Pillow's own errors have no number.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise UserError(
            f"cannot read the picture '{path}': {error.strerror}. Fix its permissions, the disk or the network, or "
            "move it away, and repeat the command to continue"
        ) from error


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """The height and width of a picture after it is turned upright by its EXIF data."""
    orientation = 1
    with contextlib.suppress(*DECODER_ERRORS):
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    turned = orientation in (5, 6, 7, 8)
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def load_picture(path: pathlib.Path, limits: Limits) -> Image.Image:
    """Decodes a file and turns it upright if its EXIF data gives the orientation.

    Raises:
        BadPictureError: The file cannot be used.
    """
    with open_picture(path, limits) as file:
        _mend_transparency(file)
        with _damage_named(path):
            file.load()
        picture: Image.Image = file
        # A picture with damaged EXIF data is used as it is stored.
        with contextlib.suppress(*DECODER_ERRORS):
            picture = ImageOps.exif_transpose(file)
        picture.format = file.format
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


@_damage_named()
def make_row(picture: Image.Image, recipe: Recipe) -> np.ndarray:
    """Converts, crops and resizes a decoded picture (Lanczos, with antialiasing).

    Returns:
        uint8 [recipe.height, recipe.width, recipe.channels].

    Raises:
        BadPictureError: The picture cannot be converted.
    """
    picture = to_gray_or_rgb(picture, recipe.channels, recipe.background)
    left, top, right, bottom = 0.0, 0.0, float(picture.width), float(picture.height)
    if recipe.crop_size:
        left, top, right, bottom = _centered(left, top, right, bottom, recipe.crop_size, recipe.crop_size)
    if recipe.crop != "none":
        scale = min((right - left) / recipe.width, (bottom - top) / recipe.height)
        left, top, right, bottom = _centered(left, top, right, bottom, scale * recipe.width, scale * recipe.height)
    size = (recipe.width, recipe.height)
    if (picture.size, (left, top, right, bottom)) != (size, (0, 0, *size)):
        picture = picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    return np.asarray(picture).reshape(recipe.height, recipe.width, recipe.channels)


def is_gray(picture: Image.Image) -> bool:
    """Whether the mode of a picture has no color. A palette may contain color, so it counts as color."""
    return picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I")


@_damage_named()
def to_gray_or_rgb(picture: Image.Image, channels: int, background: str) -> Image.Image:
    """Converts a picture of any mode to "L" or "RGB", in sRGB.

    16-bit gray is scaled to 8 bits, CMYK and palettes become RGB, an ICC profile is applied, transparent pixels show
    the background, and color becomes gray by the luma of ITU-R 601.

    Raises:
        BadPictureError: The picture cannot be converted.
    """
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _to_eight_bits(picture)
    alpha = None
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        gray = is_gray(picture)
        picture = picture.convert("RGBA")
        alpha, picture = picture.getchannel("A"), picture.convert("L" if gray else "RGB")
    elif picture.mode not in ("1", "L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    picture = _to_srgb(picture, profile)
    if alpha is not None:
        picture = picture.convert("RGBA")
        picture.putalpha(alpha)
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, ImageColor.getrgb(background)), picture)
    if picture.mode == "CMYK":
        picture = picture.convert("RGB")
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Converts gray of 16 or more bits to "L", or to "LA" if one gray value stands for transparency."""
    values = np.asarray(picture, np.float32)
    # In 16-bit files, 65535 is white. In wider modes, values that all fit into a byte are 8-bit gray.
    scaled = values / 257 if picture.mode.startswith("I;16") or values.max(initial=0) > 255 else values
    gray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    transparent = picture.info.get("transparency")
    if transparent is None:
        return Image.fromarray(gray)
    return Image.fromarray(np.stack([gray, np.where(values == transparent, 0, 255).astype(np.uint8)], axis=-1))


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Applies an ICC profile. Without a profile, or with an unusable one, the picture stays as it is."""
    transform = _srgb_transform(profile, "L" if picture.mode == "1" else picture.mode) if profile else None
    if transform is None:
        return picture
    if is_gray(picture):
        return transform.apply(picture.convert("L")).convert("L")
    return transform.apply(picture)


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a profile to sRGB for a mode; None if the profile is damaged, unsuitable, or sRGB already."""
    try:
        transform = ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return None
    if mode == "CMYK":
        return transform
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = levels[None] if mode == "L" else np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(grid)).convert(mode)).astype(int) - grid
    return transform if np.abs(moved).max() > SAME_COLOR_LEVELS else None


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
