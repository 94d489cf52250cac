"""Does the generator repeat its training images? Nearest neighbours in pixels, and how near an unseen image comes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from dcgan_tf.metrics.arrays import Estimate
from dcgan_tf.metrics.neighbors import nearest

BLOCK = 10_000
JACKKNIFE_BLOCKS = 10


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
    for start in tqdm(range(0, len(rows), BLOCK), desc=description, unit="block", mininterval=0.5):
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
    """

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.median(a) / np.median(b))

    parts_a, parts_b = (np.arange(len(a)) % JACKKNIFE_BLOCKS for a in (generated, held_out))
    left_out_a = [ratio(generated[parts_a != part], held_out) for part in range(JACKKNIFE_BLOCKS)]
    left_out_b = [ratio(generated, held_out[parts_b != part]) for part in range(JACKKNIFE_BLOCKS)]
    variance = sum((JACKKNIFE_BLOCKS - 1) * float(np.var(values)) for values in (left_out_a, left_out_b))
    return Estimate(ratio(generated, held_out), float(np.sqrt(variance)))


def _flatten(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
