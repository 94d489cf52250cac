"""Does the generator repeat its training images? Nearest neighbours in pixels, and how near an unseen image comes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dcgan_tf import progress
from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import JACKKNIFE_BLOCKS, Estimate, jackknife_error, random_order
from dcgan_tf.metrics.neighbors import nearest

BLOCK = 10_000
# Two images that differ at all differ by a gray level in a pixel, 1 / 255.
MAX_DISTANCE_OF_COPIES = 0.5 / 255


class Neighbors(NamedTuple):
    """Nearest training images.

    Attributes:
        distances: float [images, count], Euclidean over pixels 0..1, ascending.
        rows: int64 [images, count], of the training images.
    """

    distances: np.ndarray
    rows: np.ndarray


def nearest_training_images(
    images: np.ndarray, read: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, count: int, description: str
) -> Neighbors:
    """Searches the training images block by block.

    Args:
        images: uint8 [N, height, width, channels].
        read: from rows to training images.
        rows: int64, the training images to search.
        count: neighbours of each image.
        description: of the progress bar.
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
    """Median distance of generated images to their nearest training image, over that of held-out real images.

    Near 1 or above: generated images are no nearer to the training images than unseen real ones are. Far below 1:
    the generator repeats what it was shown. A blurred image is near to many, so look at the picture, too.

    Args:
        generated, held_out: float [images], distances to the nearest training image.

    Raises:
        UserError: fewer than 10 images; or half of the held-out ones are copies of training images, to which nothing
            can be nearer.
    """
    fewest = min(len(generated), len(held_out))
    if fewest < JACKKNIFE_BLOCKS:
        raise UserError(f"memorization_ratio: expected at least {JACKKNIFE_BLOCKS} images. Received: {fewest}")

    def medians(distances: np.ndarray, key: int) -> tuple[float, np.ndarray]:
        """Of all, and with each block left out."""
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
