"""From one picture, whatever its format and mode, to one row of the prepared array."""

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
# The decoders that a file can reach, whatever its name ends in. Pillow has dozens more, and one starts Ghostscript. A
# JPEG file may hold several pictures (MPO), of which the first counts.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
# A random crop is cut from rows that are this much larger than the image on each side.
RANDOM_CROP_MARGIN = 1 / 8
# A color profile that moves no color further than this is sRGB under another name, and its pixels stay as they are.
SAME_COLOR_LEVELS = 1
# By what gray of fewer bits is multiplied, under Pillow's names for it, so that white is 255.
GRAY_SCALES = {"1": 255, "L;2": 85, "L;4": 17}
# What is in a PNG file beside the picture. Damaged or too large, it is skipped, as other viewers do.
PNG_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs", b"gAMA", b"cHRM", b"sRGB"})

# The number of pixels is checked against the user's own limit, from the header, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# Pillow allows 1 MiB, which profiles of printers exceed.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20


# What the operating system says of a link to nothing, or to itself.
NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
# What Pillow's decoders raise on damaged files, whose every byte can be wrong.
DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError,
    RuntimeError, AssertionError, struct.error, zlib.error,
)  # fmt: skip


class _PngStream(PngImagePlugin.PngStream):
    """Forgives damaged metadata, for which Pillow refuses the whole picture."""

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


PngImagePlugin.PngStream = _PngStream  # type: ignore[misc]  # Pillow has no other way in.


class BadPictureError(Exception):
    """A file that cannot be used, with the reason in a few words."""


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
        name: Of its file, as it can be printed, or its place in the data set.
        label: its class, -1 where there are none.
        load: decodes it, turned upright; raises BadPictureError.
    """

    name: str
    label: int
    load: Callable[[], Image.Image]


@dataclasses.dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded.

    Attributes:
        max_pixels: Pixels in all.
        max_side: Pixels of the longer side. Resizing takes memory in proportion to it, whatever the other side.
    """

    max_pixels: int = Config.max_pixels
    max_side: int = Config.max_side

    @classmethod
    def of(cls, config: Config) -> "Limits":
        """The limits of a configuration."""
        return cls(config.max_pixels, config.max_side)


# For files of which only the header is read.
ANY_SIZE = Limits(max_pixels=sys.maxsize, max_side=sys.maxsize)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a picture becomes a row: uint8 [height, width, channels].

    Attributes:
        height, width: pixels of the row.
        channels: 1 for gray, 3 for RGB.
        crop: "none" squeezes the whole picture into the row; otherwise its centre is cut to the row's aspect ratio.
        crop_size: side in pixels of a centred square that is cut first; 0 for none.
        background: what shows through transparent pixels, as Pillow names colors.
        limits: larger pictures are refused unopened.
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
    """Reads a file's header, not its pixels.

    Raises:
        BadPictureError: not a regular file, not a picture in one of ``FORMATS``, or one beyond the limits.
    """
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in NOWHERE and path.is_symlink():
            raise BadPictureError("a link to nowhere") from error
        _refuse_faults_of_the_machine(error, path)
        raise BadPictureError("cannot be read") from error
    if not stat.S_ISREG(status.st_mode):  # A pipe or a device would be waited for.
        raise BadPictureError("not a regular file")
    try:
        picture = Image.open(path, formats=FORMATS)
    except DECODER_ERRORS as error:
        _refuse_faults_of_the_machine(error, path)
        raise BadPictureError("not a picture that can be read" if status.st_size else "empty file") from error
    size = f"{picture.width}x{picture.height} pixels are more than"
    if picture.width * picture.height > limits.max_pixels:
        picture.close()
        raise BadPictureError(f"{size} `max_pixels={limits.max_pixels}`")
    if max(picture.size) > limits.max_side:
        picture.close()
        raise BadPictureError(f"{size} `max_side={limits.max_side}` on one side")
    return picture


def _refuse_faults_of_the_machine(error: Exception, path: pathlib.Path) -> None:
    """Raises UserError where the operating system could not read a file: what is mended must not stay a bad picture."""
    # A damaged file can name a place that cannot be sought, which is its own fault. Pillow's errors have no number.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise UserError(
            f"cannot read the picture '{path}': {error.strerror}. Fix its permissions, the disk or the network, or "
            "move it away, and repeat the command to continue"
        ) from error


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Height and width of a picture once it is turned as its EXIF data say."""
    orientation = 1
    with contextlib.suppress(*DECODER_ERRORS):
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    turned = orientation in (5, 6, 7, 8)
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def load_picture(path: pathlib.Path, limits: Limits) -> Image.Image:
    """Decodes a file, and turns it upright where its EXIF data says how it was taken.

    Raises:
        BadPictureError: the file cannot be used.
    """
    with open_picture(path, limits) as file:
        _mend_transparency(file)
        with _damage_named(path):
            file.load()
        picture: Image.Image = file
        # Damaged EXIF data spoil no picture: it is used as it is stored.
        with contextlib.suppress(*DECODER_ERRORS):
            picture = ImageOps.exif_transpose(file)
        picture.format = file.format
        return picture


@contextlib.contextmanager
def memory_for(name: object) -> Iterator[None]:
    """Names the picture in decoding which the memory ran out.

    Raises:
        UserError: it did. The picture may be fine, so it does not count as bad.
    """
    try:
        yield
    except MemoryError:
        raise UserError(
            f"'{name}': not enough memory to decode this picture. Free some, or leave out pictures of its size with a "
            "smaller `max_pixels` or `max_side`"
        ) from None


@_damage_named()
def make_row(picture: Image.Image, recipe: Recipe) -> np.ndarray:
    """Converts, crops and resizes (Lanczos, antialiased) a decoded picture.

    Returns:
        uint8 [recipe.height, recipe.width, recipe.channels].

    Raises:
        BadPictureError: it cannot be converted.
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
    """Whether the mode of a picture has no color. A palette may have, so it counts as color."""
    return picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I")


@_damage_named()
def to_gray_or_rgb(picture: Image.Image, channels: int, background: str) -> Image.Image:
    """Converts a picture of any mode to "L" or "RGB", in sRGB.

    16-bit gray is scaled to 8 bits, CMYK and palettes become RGB, an ICC profile is applied, transparent pixels show
    the background, and color becomes gray by the luma of ITU-R 601.

    Raises:
        BadPictureError: it cannot be converted.
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
    """Gray of 16 bits and more as "L"; as "LA" where one value of it stands for transparency."""
    values = np.asarray(picture, np.float32)
    # 16-bit files: 65535 is white. What fits into a byte was stored in a wider one only.
    scaled = values / 257 if picture.mode.startswith("I;16") or values.max(initial=0) > 255 else values
    gray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    transparent = picture.info.get("transparency")
    if transparent is None:
        return Image.fromarray(gray)
    return Image.fromarray(np.stack([gray, np.where(values == transparent, 0, 255).astype(np.uint8)], axis=-1))


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The colors that a profile means; without one, or where it is damaged or of no use, the picture as it is."""
    transform = _srgb_transform(profile, "L" if picture.mode == "1" else picture.mode) if profile else None
    if transform is None:
        return picture
    if is_gray(picture):
        return transform.apply(picture.convert("L")).convert("L")
    return transform.apply(picture)


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB, for pictures of a mode; None where it is damaged, of another mode, or sRGB already."""
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
    """The transparent color of a PNG file at the depth at which Pillow decodes: it takes it from the file unscaled."""
    if picture.format != "PNG" or "transparency" not in picture.info or not picture.tile:
        return
    stored, transparent = picture.tile[0][3], picture.info["transparency"]
    if stored in GRAY_SCALES:
        picture.info["transparency"] = min(255, transparent * GRAY_SCALES[stored])
    elif stored == "RGB;16B":
        picture.info["transparency"] = tuple(level >> 8 for level in transparent)


def _centred(
    left: float, top: float, right: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """A box of at most ``width x height`` in the middle of another."""
    width, height = min(width, right - left), min(height, bottom - top)
    left, top = (left + right - width) / 2, (top + bottom - height) / 2
    return left, top, left + width, top + height
