"""Converts pictures of every mode and color profile to gray, RGB or RGBA."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms, ImageColor

from dcgan_tf.data.damage import DECODER_ERRORS, damage_named

# A profile that changes no color by more than this many levels counts as sRGB, and its pixels stay as they are.
SAME_COLOR_LEVELS = 1
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def is_gray(picture: Image.Image) -> bool:
    """Whether the mode of a picture has no color. A palette may contain color, so it counts as color."""
    return picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I")


@damage_named()
def convert_colors(picture: Image.Image, channels: int, background: str) -> Image.Image:
    """Converts a picture of any mode to "L", "RGB" or "RGBA" (1, 3 or 4 channels), in sRGB.

    16-bit gray is scaled to 8 bits, CMYK and palettes become RGB, an ICC profile is applied, transparent pixels show
    the background unless there are four channels, and color becomes gray by the luma of ITU-R 601.

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
    if alpha is not None and channels != 4:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, ImageColor.getrgb(background)), picture)
    if picture.mode == "CMYK":
        picture = picture.convert("RGB")
    mode = MODES[channels]
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
