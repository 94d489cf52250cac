"""Moving pictures: GIF files, and MP4 files where imageio-ffmpeg is installed."""

import importlib.util
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcgan_tf import files
from dcgan_tf.data.tree import SOFTWARE
from dcgan_tf.drawing.grids import GRID_MARGIN, make_grid, on_white, to_picture
from dcgan_tf.errors import UserError

SUFFIXES = (".gif", ".mp4")
CAPTION_HEIGHT = 20


def has_video() -> bool:
    """Whether MP4 files can be written."""
    return importlib.util.find_spec("imageio_ffmpeg") is not None


def require_format(path: pathlib.Path) -> None:
    """Raises UserError if the package that writes this kind of file is missing."""
    if path.suffix.lower() == ".mp4" and not has_video():
        raise UserError("an .mp4 file needs imageio-ffmpeg: pip install -r requirements/video.txt")


def caption_grids(grids: Sequence[pathlib.Path], captions: Sequence[str]) -> list[Image.Image]:
    """Reads grids, which are PNG files of the same size, and writes a caption below each."""
    frames = []
    font = ImageFont.load_default(CAPTION_HEIGHT - 6)
    for grid, caption in zip(grids, captions, strict=True):
        with Image.open(grid, formats=["PNG"]) as picture:
            opaque = on_white(picture)
            frame = Image.new(opaque.mode, (opaque.width, opaque.height + CAPTION_HEIGHT), "white")
            frame.paste(opaque)
        ImageDraw.Draw(frame).text((2 * GRID_MARGIN, opaque.height), caption, fill="black", font=font)
        frames.append(frame)
    return frames


def enlarge_images(images: np.ndarray) -> list[Image.Image]:
    """Frames of single images uint8 [N, height, width, 1, 3 or 4], with small ones enlarged."""
    return [on_white(to_picture(make_grid(image[None]))) for image in images]


def save_animation(
    frames: Sequence[Image.Image], path: pathlib.Path, frames_per_second: float, hold_seconds: float = 0.0
) -> None:
    """Writes a looping GIF or an MP4 file, whole or not at all.

    A GIF counts time in hundredths of a second, so the duration of a frame is rounded to a whole number of them.

    Args:
        frames: Pictures of the same size.
        path: Path of the file, which ends in .gif or .mp4.
        frames_per_second: Number of frames per second.
        hold_seconds: How much longer the last frame is shown.
    """
    with files.replacing(path) as temporary:
        if path.suffix.lower() == ".mp4":
            _write_video(frames, temporary, frames_per_second, hold_seconds)
            return
        milliseconds = 10 * max(1, round(100 / frames_per_second))
        frames[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[milliseconds] * (len(frames) - 1) + [milliseconds + round(1000 * hold_seconds)],
            loop=0,
            comment=SOFTWARE.encode(),
        )


def _write_video(
    frames: Sequence[Image.Image], path: pathlib.Path, frames_per_second: float, hold_seconds: float
) -> None:
    import imageio_ffmpeg

    # The usual pixel format stores colors at half the resolution, so both sides must be even.
    width, height = (side + side % 2 for side in frames[0].size)
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=frames_per_second, macro_block_size=1, output_params=["-f", "mp4"]
    )
    writer.send(None)  # Starts the encoder.
    try:
        for frame in [*frames, *[frames[-1]] * round(hold_seconds * frames_per_second)]:
            whole = Image.new("RGB", (width, height), "white")
            whole.paste(frame)
            writer.send(whole.tobytes())
    finally:
        writer.close()
