"""From seeds to latents to images, and the samples that show the progress of a training run."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.samples import GRID_COLUMNS
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.pixels import to_samples

# Every call of the generator has this many rows. The number of rows can change results by rounding, but the same seed
# must always give the same image.
ROWS_PER_CALL = 32
GRID_SEEDS = range(64)
MONITORED_SEEDS = range(128)
GRID_CLASSES = 16
SCATTER_POINTS = 1024


def latents_from_seeds(seeds: tf.Tensor, latent_dim: int) -> tf.Tensor:
    """Standard normal latents, each depending only on its own seed. Works eagerly and in an exported graph.

    Args:
        seeds: int64 [N].
        latent_dim: Length of a latent.

    Returns:
        float32 [N, latent_dim].
    """

    # The operations of `tf.random.stateless_normal`, which itself takes ten times as long to trace.
    def latent(seed: tf.Tensor) -> tf.Tensor:
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=tf.stack([seed, tf.zeros_like(seed)]))
        return tf.raw_ops.StatelessRandomNormalV2(
            shape=[latent_dim], key=key, counter=counter, alg=tf.random.Algorithm.PHILOX.value
        )

    if seeds.shape[0] == ROWS_PER_CALL:  # Without a loop in the graph, this takes a fifth of the time.
        return tf.stack([latent(seed) for seed in tf.unstack(seeds)])
    return tf.map_fn(latent, seeds, fn_output_signature=tf.TensorSpec([latent_dim], tf.float32))


# Gives the same values, but far faster than the eager loop over seeds.
_latents_in_a_graph = tf.function(latents_from_seeds)


def slerp(first: tf.Tensor, last: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Spherical interpolation (Shoemake 1985).

    The length of normal latents is nearly constant, so a straight line between two of them would leave the region that
    the generator was trained on.

    Args:
        first, last: float32 [N, latent_dim].
        t: float32 [N], from 0 for first to 1 for last.

    Returns:
        float32 [N, latent_dim]. The path is straight if both point in the same direction or in opposite directions.
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


def seed_latents(seeds: Sequence[int] | np.ndarray, latent_dim: int) -> np.ndarray:
    """The latents of seeds, as `latents_from_seeds` draws them: float32 [len(seeds), latent_dim]."""
    return _in_equal_parts(lambda part: _latents_in_a_graph(part, latent_dim), np.asarray(seeds, np.int64))


def decode(generator: keras.Model, z: np.ndarray, labels: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """The images of the given latents, with BatchNorm's inference statistics.

    Args:
        generator: A model from `build_generator`.
        z: float32 [N, latent_dim].
        labels: One label per image, for a conditional generator only.

    Returns:
        uint8 [N, height, width, channels], or points float32 [N, 2]. Each image depends only on its own latent and
        label.
    """
    if labels is None:
        return _in_equal_parts(lambda part: to_samples(generator(part, training=False)), z)
    return _in_equal_parts(
        lambda *part: to_samples(generator(with_labels(*part), training=False)), z, np.asarray(labels, np.int64)
    )


def generate(
    generator: keras.Model, seeds: Sequence[int] | np.ndarray, labels: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """The images of the given seeds: `decode` of their latents."""
    return decode(generator, seed_latents(seeds, generator.inputs[0].shape[1]), labels)


def _in_equal_parts(function: Callable[..., tf.Tensor], *arrays: np.ndarray) -> np.ndarray:
    """Applies a function to rows, `ROWS_PER_CALL` at a time. The last call is filled up with repeated rows."""
    count, parts = len(arrays[0]), []
    for start in range(0, count, ROWS_PER_CALL):
        rows = np.resize(np.arange(start, min(start + ROWS_PER_CALL, count)), ROWS_PER_CALL)
        parts.append(function(*(tf.constant(array[rows]) for array in arrays)).numpy()[: count - start])
    return np.concatenate(parts)


def training_samples(generator: keras.Model, config: Config) -> np.ndarray:
    """The samples that show the progress of a training run, always from the same latents.

    A conditional generator draws one class per row of the grid.

    Args:
        generator: The generator to sample from.
        config: The complete configuration of the run.

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


def monitored_samples(generator: keras.Model, config: Config) -> np.ndarray:
    """The samples on which the monitor measures the diversity of the generator, in the format of `training_samples`."""
    seeds = np.asarray(MONITORED_SEEDS)
    return generate(generator, seeds, seeds % config.label_count if config.conditional else None)
