"""Memorization: whether generated images are nearer to the training images, in pixels, than unseen real images are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dcgan_tf import progress
from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import JACKKNIFE_BLOCKS, Estimate, jackknife_error, random_order
from dcgan_tf.metrics.neighbors import nearest

Read = Callable[[np.ndarray], np.ndarray]  # Rows -> images

BLOCK = 10_000
# Different images differ by at least one gray level, 1 / 255, in one pixel.
MAX_DISTANCE_OF_COPIES = 0.5 / 255


class Neighbors(NamedTuple):
    """Nearest training images.

    Attributes:
        distances: float [images, count], Euclidean distances of pixels in 0..1, ascending.
        rows: int64 [images, count], rows of these training images.
    """

    distances: np.ndarray
    rows: np.ndarray


class NeighborPicture(NamedTuple):
    """Rows that each show an image and its nearest training images.

    Attributes:
        title: Title of the picture.
        images: uint8 [rows * columns, height, width, channels].
        columns: Number of images per row.
    """

    title: str
    images: np.ndarray
    columns: int


def images_to_search(read: Read, rows: np.ndarray, total: int, *, mirrored: bool) -> tuple[Read, np.ndarray]:
    """The images that a copy could be of: those that training has seen.

    Args:
        read: Maps rows to training images, uint8 [N, height, width, channels].
        rows: int64, the training images to search.
        total: Number of all training images.
        mirrored: Whether training shows them mirrored, too.

    Returns:
        The arguments ``read`` and ``rows`` of `nearest_training_images`. Row ``total + n`` is row n, mirrored.
    """
    if not mirrored:
        return read, rows

    def read_both(rows: np.ndarray) -> np.ndarray:
        images = read(rows % total)
        is_mirrored = rows >= total
        return np.where(is_mirrored[:, None, None, None], images[:, :, ::-1], images)

    return read_both, np.concatenate([rows, rows + total])


def nearest_training_images(
    images: np.ndarray, read: Read, rows: np.ndarray, count: int, description: str
) -> Neighbors:
    """Searches the training images block by block for the nearest ones.

    Args:
        images: uint8 [N, height, width, channels].
        read: Maps rows to training images.
        rows: int64, the training images to search.
        count: Number of neighbors per image.
        description: Text of the progress bar.
    """
    queries = _flatten(images)
    best = Neighbors(np.empty((len(images), 0)), np.empty((len(images), 0), np.int64))
    for start in progress.bar(range(0, len(rows), BLOCK), desc=description, unit="block"):
        block = rows[start : start + BLOCK]
        distances, found = nearest(queries, _flatten(read(block)), min(count, len(block)))
        distances, numbers = np.hstack([best.distances, distances]), np.hstack([best.rows, block[found]])
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        best = Neighbors(np.take_along_axis(distances, order, 1), np.take_along_axis(numbers, order, 1))
    return best


def distance_ratio(generated: np.ndarray, held_out: np.ndarray) -> Estimate:
    """The median distance of generated images to their nearest training image, divided by that of held-out images.

    If the ratio is near 1 or above, generated images are no nearer to the training images than unseen real ones are. If
    it is far below 1, the generator copies training images. Blurred images are near to many images, so look at the
    pictures as well.

    Args:
        generated, held_out: float [images], distances to the nearest training image.

    Raises:
        UserError: There are fewer than 10 images, or half of the held-out ones are copies of training images, so that
            their median distance is 0.
    """
    fewest = min(len(generated), len(held_out))
    if fewest < JACKKNIFE_BLOCKS:
        raise UserError(f"memorization_ratio: expected at least {JACKKNIFE_BLOCKS} images. Received: {fewest}")

    def medians(distances: np.ndarray, key: int) -> tuple[float, np.ndarray]:
        """The median of all distances, and the medians with each block left out."""
        blocks = random_order(len(distances), key) % JACKKNIFE_BLOCKS
        left_out = [np.median(distances[blocks != block]) for block in range(JACKKNIFE_BLOCKS)]
        return float(np.median(distances)), np.array(left_out)

    of_generated, of_generated_left_out = medians(generated, 0)
    of_held_out, of_held_out_left_out = medians(held_out, 1)
    if min(of_held_out, *of_held_out_left_out) < MAX_DISTANCE_OF_COPIES:
        raise UserError("memorization_ratio: half of the held-out images are copies of training images")
    error = jackknife_error(of_generated_left_out / of_held_out, of_generated / of_held_out_left_out)
    return Estimate(of_generated / of_held_out, error)


def _flatten(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
