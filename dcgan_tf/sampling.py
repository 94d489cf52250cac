"""From seeds to latents to images, and from images to grids, PNG files and GIFs."""

import os
import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from dcgan_tf.config import Config
from dcgan_tf.gan import to_samples
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.scatter import draw_scatter

# Every call of the generator has this many rows: results can differ by rounding with the number of rows they are
# computed in, and the same seed shall give the same image whatever else was asked for.
ROWS_PER_CALL = 32
GRID_SEEDS = range(64)
GRID_COLUMNS = 8
GRID_CLASSES = 16
SCATTER_POINTS = 1024
GRID_MARGIN = 2
# Tiles smaller than this are enlarged by a whole factor, so that a person can see them.
SMALLEST_TILE = 48


def latents_from_seeds(seeds: tf.Tensor, latent_dim: int) -> tf.Tensor:
    """Normal latents, each a function of its own seed alone. Works eagerly, and in an exported graph.

    Args:
        seeds: int64 [N].
        latent_dim: length of a latent.

    Returns:
        float32 [N, latent_dim].
    """

    def latent(seed: tf.Tensor) -> tf.Tensor:
        key = tf.stack([seed, tf.zeros_like(seed)])
        return tf.random.stateless_normal([latent_dim], seed=key, alg="philox")

    return tf.map_fn(latent, seeds, fn_output_signature=tf.TensorSpec([latent_dim], tf.float32))


def slerp(first: tf.Tensor, last: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Spherical interpolation (Shoemake 1985): the length of normal latents is nearly constant, so a straight line
    between two would leave the region that the generator was trained on.

    Args:
        first, last: float32 [N, latent_dim].
        t: float32 [N], 0 for first to 1 for last.

    Returns:
        float32 [N, latent_dim]; a straight line where the two point the same or the opposite way.
    """
    t = t[:, None]
    cosine = tf.reduce_sum(tf.math.l2_normalize(first, axis=1) * tf.math.l2_normalize(last, axis=1), 1, keepdims=True)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    sine = tf.sin(angle)
    straight = sine < 1e-4
    safe_sine = tf.where(straight, 1.0, sine)
    weight_first = tf.where(straight, 1 - t, tf.sin((1 - t) * angle) / safe_sine)
    weight_last = tf.where(straight, t, tf.sin(t * angle) / safe_sine)
    return weight_first * first + weight_last * last


def generate(
    generator: keras.Model, seeds: Sequence[int] | np.ndarray, labels: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """Images of the given seeds, by BatchNorm's inference statistics.

    Args:
        generator: as `build_generator` makes it.
        seeds: one an image.
        labels: one an image, for a conditional generator only.

    Returns:
        uint8 [len(seeds), height, width, channels], or points float32 [len(seeds), 2]. An image depends
        on its own seed and label alone.
    """
    latent_dim = generator.inputs[0].shape[1]
    parts = []
    for start in range(0, len(seeds), ROWS_PER_CALL):
        part = slice(start, min(start + ROWS_PER_CALL, len(seeds)))
        padded_seeds, padded_labels = (
            None if values is None else np.resize(np.asarray(values[part], np.int64), ROWS_PER_CALL)
            for values in (seeds, labels)
        )
        z = latents_from_seeds(padded_seeds, latent_dim)
        images = to_samples(generator(with_labels(z, padded_labels), training=False))
        parts.append(images.numpy()[: part.stop - start])
    return np.concatenate(parts)


def training_samples(generator: keras.Model, config: Config) -> np.ndarray:
    """The samples by which a training is watched: of the same latents each time, and of each class if there are some.

    Args:
        generator: to sample from.
        config: complete, of the run.

    Returns:
        uint8 [N, height, width, channels], or points float32 [N, 2].
    """
    if config.draws_points:
        seeds = np.arange(SCATTER_POINTS)
        return generate(generator, seeds, seeds % config.label_count if config.conditional else None)
    if not config.conditional:
        return generate(generator, GRID_SEEDS)
    rows = min(config.label_count, GRID_CLASSES)
    # The same seeds in every row: what differs between two rows is the class.
    return generate(generator, np.tile(np.arange(GRID_COLUMNS), rows), np.repeat(np.arange(rows), GRID_COLUMNS))


def draw_samples(samples: np.ndarray, config: Config) -> np.ndarray:
    """The picture of samples, generated or real: a grid, with a row a class of a conditional run; of points, a plot.

    Returns:
        uint8 [height, width, 1 or 3].
    """
    if config.draws_points:
        return draw_scatter(samples, config.dataset)
    return make_grid(samples, columns=GRID_COLUMNS if config.conditional else None)


def make_grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Lays images out row by row on white, nearly square unless ``columns`` is given.

    Args:
        images: uint8 [N, height, width, 1 or 3].

    Returns:
        uint8 [grid height, grid width, 1 or 3].
    """
    count, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    factor = -(-SMALLEST_TILE // min(height, width))
    tiles = images.repeat(factor, axis=1).repeat(factor, axis=2)
    pitch_y, pitch_x = factor * height + GRID_MARGIN, factor * width + GRID_MARGIN
    grid = np.full((rows * pitch_y + GRID_MARGIN, columns * pitch_x + GRID_MARGIN, channels), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top = GRID_MARGIN + index // columns * pitch_y
        left = GRID_MARGIN + index % columns * pitch_x
        grid[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return grid


def save_png(image: np.ndarray, path: pathlib.Path) -> None:
    """Writes uint8 [height, width, 1 or 3] as PNG, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    _to_picture(image).save(temporary, format="PNG")
    os.replace(temporary, path)


def save_gif(grids: Sequence[pathlib.Path], captions: Sequence[str], path: pathlib.Path, milliseconds: int) -> None:
    """Joins grids into a GIF that repeats, a caption below each, the last one shown longer.

    Args:
        grids: PNG files of one size.
        captions: a line for each.
        path: of the GIF.
        milliseconds: each frame is shown.
    """
    frames = []
    for grid, caption in zip(grids, captions, strict=True):
        with Image.open(grid) as picture:
            frame = Image.new(picture.mode, (picture.width, picture.height + 16), "white")
            frame.paste(picture)
        ImageDraw.Draw(frame).text((GRID_MARGIN, picture.height + 2), caption, fill="black")
        frames.append(frame)
    durations = [milliseconds] * (len(frames) - 1) + [2000]
    temporary = path.with_name(f".{path.name}.tmp")
    frames[0].save(temporary, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    os.replace(temporary, path)


def _to_picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
