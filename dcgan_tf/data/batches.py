"""Batches as a pure function of (seed, step), so that training resumes at any step without replaying earlier ones."""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData

PREFETCHED_BATCHES = 8


class BatchOrder:
    """The images of each batch: a new permutation per epoch, cut into batches that may span two epochs.

    Args:
        count: Number of images in the data set.
        batch_size: Number of images in a batch.
        seed: Seed of the permutations.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count = count
        self.batch_size = batch_size
        # A batch can span two epochs; keeping a third avoids recomputing one while batches are prepared in parallel.
        self._permutation = functools.lru_cache(maxsize=3)(
            lambda epoch: np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
        )

    def rows(self, batch_number: int) -> np.ndarray:
        """The indices int64 [batch_size] of the images in one batch."""
        positions = np.arange(batch_number * self.batch_size, (batch_number + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, self.count)
        rows = np.empty(self.batch_size, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            in_epoch = epochs == epoch
            rows[in_epoch] = self._permutation(epoch)[offsets[in_epoch]]
        return rows


def augment(
    images: np.ndarray, config: Config, batch_number: int, places: np.ndarray | None = None, count: int = 0
) -> np.ndarray:
    """Crops and mirrors each image at random, if the configuration asks for it.

    Args:
        images: uint8 [N, at least height, at least width, channels].
        config: Gives the size, ``crop``, ``flip`` and the seed.
        batch_number: Together with the seed, the random key.
        places: Positions of the images in a batch, int64 [N]. The random numbers are drawn for the whole batch, so that
            a part of it is augmented as it would be in the batch. None: the images are the whole batch.
        count: Number of images in the batch.

    Returns:
        uint8 [N, height, width, channels].
    """
    if config.crop != "random" and not config.flip:
        return images
    # The permutations of the epochs use the keys (seed, epoch), with seeds below 2**31.
    chance = np.random.Generator(np.random.Philox(key=[config.seed + 2**31, batch_number]))
    height, width = config.height_and_width
    if places is None:
        places, count = np.arange(len(images)), len(images)
    tops = chance.integers(0, images.shape[1] - height + 1, count)[places]
    lefts = chance.integers(0, images.shape[2] - width + 1, count)[places]
    mirrored = (chance.random(count) < (0.5 if config.flip else 0.0))[places]
    crops = (
        image[top : top + height, left : left + width] for image, top, left in zip(images, tops, lefts, strict=True)
    )
    return np.stack([crop[:, ::-1] if mirror else crop for crop, mirror in zip(crops, mirrored, strict=True)])


def fixed_images(data: ImageData | PointData, config: Config, count: int) -> np.ndarray:
    """A few images from all over the data, the same ones throughout a run: uint8 [count, ...], or float32 points."""
    return augment(data.read(BatchOrder(len(data.images), count, config.seed).rows(0)), config, batch_number=0)


def places_of(replica: int, replicas: int, count: int, parts: int) -> np.ndarray:
    """The positions of one replica's share in a batch: int64 [count / replicas], as `replicas.share` cuts it."""
    return np.arange(count).reshape(parts, replicas, -1)[:, replica].ravel()


def make_batches(
    data: ImageData | PointData,
    config: Config,
    first: int,
    stop: int,
    shares: Sequence[int] = (0,),
    replicas: int = 1,
) -> tf.data.Dataset:
    """The batches ``first`` to ``stop - 1``, one per train step, or the shares of some replicas of each.

    Args:
        data: The data to read from.
        config: A complete configuration.
        first, stop: The first step, and the step after the last.
        shares: The replicas whose shares are wanted. Each share is one element, in this order.
        replicas: Number of shares that a batch is cut into.

    Returns:
        A dataset of images uint8 [count, height, width, channels], or points float32 [count, 2], with labels int64
        [count]. Count is ``discriminator_steps * batch_size / replicas``.
    """
    count = config.batch_size * config.discriminator_steps
    order = BatchOrder(len(data.images), count, config.seed)
    dtype = tf.as_dtype(data.images.dtype)
    # Each share contains an equal part of the batch of every discriminator update. With `pack=2`, D judges the first
    # image of the first half of this batch together with the first image of the second half, and so on. Images that
    # are judged together must be in the same share, so a share contains the same positions of both halves.
    places = [places_of(replica, replicas, count, config.discriminator_steps * config.pack) for replica in shares]

    def read(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step, share = divmod(int(number), len(shares))
        rows = order.rows(step)[places[share]]
        return augment(data.read(rows), config, step, places[share], count), data.labels[rows]

    def load(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = tf.numpy_function(read, [number], (dtype, tf.int64), stateful=False)
        rows = count // replicas
        return tf.ensure_shape(images, (rows, *config.sample_shape)), tf.ensure_shape(labels, rows)

    numbers = tf.data.Dataset.range(first * len(shares), stop * len(shares))
    return numbers.map(load).prefetch(PREFETCHED_BATCHES * len(shares))
