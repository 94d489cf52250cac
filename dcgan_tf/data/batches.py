"""Batch number s is a pure function of (seed, s), so that training resumes at any step without replaying."""

import functools

import numpy as np
import tensorflow as tf

from dcgan_tf.data.prepare import ImageData

PREFETCHED_BATCHES = 8


class BatchOrder:
    """Which images make up which batch: a fresh permutation an epoch, cut into batches that may span two epochs.

    Args:
        count: images in the data set.
        batch_size: images in a batch.
        seed: of the permutations.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count = count
        self.batch_size = batch_size
        # A batch can touch two epochs; a third spares the older one while batches are prepared in parallel.
        self._permutation = functools.lru_cache(maxsize=3)(
            lambda epoch: np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
        )

    def rows(self, batch_number: int) -> np.ndarray:
        """Indices int64 [batch_size] of the images in one batch."""
        positions = np.arange(batch_number * self.batch_size, (batch_number + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, self.count)
        rows = np.empty(self.batch_size, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            in_epoch = epochs == epoch
            rows[in_epoch] = self._permutation(epoch)[offsets[in_epoch]]
        return rows


def make_batches(data: ImageData, batch_size: int, seed: int, first: int, stop: int) -> tf.data.Dataset:
    """The batches ``first`` to ``stop - 1``, one a train step.

    Returns:
        A dataset of uint8 [batch_size, height, width, channels].
    """
    order = BatchOrder(len(data.images), batch_size, seed)

    def read(batch_number: np.ndarray) -> np.ndarray:
        return data.images[order.rows(int(batch_number))]

    def load(batch_number: tf.Tensor) -> tf.Tensor:
        images = tf.numpy_function(read, [batch_number], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (batch_size, *data.images.shape[1:]))

    return tf.data.Dataset.range(first, stop).map(load).prefetch(PREFETCHED_BATCHES)
