"""What `interpolate` and `walk` share: a path through latents as a strip, a GIF or a video."""

import pathlib

import numpy as np
from absl import flags

from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.animation import SUFFIXES, enlarge_images, require_format, save_animation
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.errors import UserError


def path_file(text: str) -> pathlib.Path:
    """The file for a path through latents: a PNG file, a GIF or a video. Its folder need not exist yet."""
    path = pathlib.Path(text)
    if path.suffix.lower() not in (".png", *SUFFIXES) or path.is_dir():
        raise UserError(f"--out: expected a file that ends in .png, .gif or .mp4. Received: '{path}'")
    if path.suffix.lower() == ".png" and FLAGS["fps"].present:
        raise UserError("--fps has no effect on a PNG file. Remove it, or use an --out that ends in .gif or .mp4")
    if not 0.1 <= FLAGS.fps <= 50:
        raise UserError(f"--fps: expected from 0.1 to 50. Received: {FLAGS.fps}")
    require_format(path)
    return path


def define_fps_flag() -> None:
    flags.DEFINE_float(
        "fps",
        10.0,
        "Images per second of a GIF or video, from 0.1 to 50. GIFs measure time in hundredths of a second.",
    )


def save_path(images: np.ndarray, steps: int, closed: bool, path: pathlib.Path) -> None:
    """Writes the images of a path as a strip with one row per transition, or as a GIF or video."""
    from dcgan_tf.generation.paths import path_rows

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in SUFFIXES:
        save_animation(enlarge_images(images), path, FLAGS.fps)
        return
    images = np.concatenate([images, images[:1]]) if closed else images
    save_png(make_grid(path_rows(images, steps), steps + 1), path)
