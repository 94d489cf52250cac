"""Adaptive augmentation (ADA; Karras et al. 2020, arXiv 2006.06676) of all images that D sees, real and fake."""

import math

import tensorflow as tf

from dcgan_tf.distributed import replicas
from dcgan_tf.objectives import chance
from dcgan_tf.objectives.augment import MAX_KEYS_EACH, MAX_SHIFT, color, cutout, whole_pixels
from dcgan_tf.objectives.chance import subkey

# Section 3.1 of the paper: the mean sign of D's outputs for real images is kept near this value.
TARGET = 0.6
BATCHES = 4  # Batches per adjustment
IMAGES_TO_CERTAINTY = 500_000  # Real images shown while the probability moves from 0 to 1
SCALE_DEVIATION = 0.2  # Standard deviation of the base-2 logarithm of the scale (appendix B)

MIRROR, SHIFT, SCALE, ROTATE, COLOR, CUTOUT = range(6)
WHETHER = MAX_KEYS_EACH - 1  # The key by which each transformation draws the images that it is applied to


class AdaptiveProbability(tf.Module):
    """The probability that a transformation is applied to an image. It rises while D is too sure of real images.

    It is part of a run's checkpoints, and all replicas adjust it in the same way.

    Attributes:
        value: float32 variable from 0 to 1, initially 0.

    Args:
        batch_size: Real images in a global batch.
        rows: Number of D's outputs for them, which is smaller if D judges several images at once.
    """

    def __init__(self, batch_size: int, rows: int) -> None:
        super().__init__(name="augmentation")
        self._change = BATCHES * batch_size / IMAGES_TO_CERTAINTY
        self._rows = rows
        self.value = tf.Variable(0.0, name="probability")
        self.signs = tf.Variable(0.0, name="signs")
        self.batches = tf.Variable(0, dtype=tf.int64, name="batches")

    def observe(self, mean_sign: tf.Tensor) -> None:
        """Records one batch, and adjusts the probability after every fourth batch.

        Args:
            mean_sign: This replica's part of the mean sign of D's outputs for real images: float32 scalar in [-1, 1].
        """
        # Sums of whole numbers are exact, so the result does not depend on the number of replicas.
        signs = self.signs + tf.round(self._rows * replicas.total(mean_sign))
        batches = self.batches + 1
        is_due = tf.equal(batches, BATCHES)
        direction = tf.sign(signs - TARGET * BATCHES * self._rows)
        adjusted = tf.clip_by_value(self.value + self._change * direction, 0.0, 1.0)
        self.value.assign(tf.where(is_due, adjusted, self.value))
        self.signs.assign(tf.where(is_due, 0.0, signs))
        self.batches.assign(tf.where(is_due, tf.zeros_like(batches), batches))


def augment_adaptively(images: tf.Tensor, probability: tf.Tensor, key: tf.Tensor, parts: int = 1) -> tf.Tensor:
    """Applies each transformation to a random subset of the images. Gradients flow back to the images.

    The order is that of the paper: mirroring, a shift by whole pixels, scaling, rotation; color; cutout. Whether a
    transformation is applied is drawn for each image separately. Shifts, color and cutout have the ranges of the fixed
    augmentations. Positions between pixels are interpolated linearly, whereas the paper applies a filter.

    Args:
        images: float32 [N, height, width, channels] in [-1, 1], of known shape.
        probability: float32 scalar from 0 to 1; at 0, the images are unchanged.
        key: int64 [2], the random key.
        parts: As in `replicas.share`.

    Returns:
        float32 of the same shape. Values may lie outside [-1, 1].
    """
    count, height, width = images.shape[0], images.shape[1], images.shape[2]

    def key_of(transformation: int, number: int = 0) -> tf.Tensor:
        return subkey(key, MAX_KEYS_EACH * transformation + number)

    def uniform(transformation: int, minimum: float, maximum: float, number: int = 0) -> tf.Tensor:
        return chance.uniform([count], key_of(transformation, number), minimum, maximum, parts=parts)

    def meets(transformation: int) -> tf.Tensor:
        return uniform(transformation, 0, 1, WHETHER) < probability

    shifts = []
    for number, size in enumerate((height, width)):
        largest = whole_pixels(MAX_SHIFT, size)
        shifts.append(tf.floor(uniform(SHIFT, -largest, largest + 1, number)))
    scales = tf.pow(2.0, SCALE_DEVIATION * chance.normal([count], key_of(SCALE), parts))
    images = resample(
        images,
        mirrored=tf.logical_and(meets(MIRROR), uniform(MIRROR, 0, 1) < 0.5),
        shifts=tf.where(meets(SHIFT)[:, None], tf.stack(shifts, axis=1), 0.0),
        scales=tf.where(meets(SCALE), scales, 1.0),
        angles=tf.where(meets(ROTATE), uniform(ROTATE, -math.pi, math.pi), 0.0),
    )
    for transformation, function in ((COLOR, color), (CUTOUT, cutout)):
        changed = function(images, key_of(transformation), parts)
        images = tf.where(meets(transformation)[:, None, None, None], changed, images)
    return images


def resample(
    images: tf.Tensor, *, mirrored: tf.Tensor, shifts: tf.Tensor, scales: tf.Tensor, angles: tf.Tensor
) -> tf.Tensor:
    """Transforms each image geometrically, with the image reflected at its borders.

    All transformations are done in one pass, so that nothing is interpolated twice. An image without any
    transformation is unchanged.

    Args:
        images: float [N, height, width, channels].
        mirrored: bool [N], whether to mirror left to right, before the other transformations.
        shifts: float32 [N, 2], pixels down and to the right.
        scales: float32 [N], factors around the center; above 1 enlarges.
        angles: float32 [N], rotations around the center in radians.

    Returns:
        float [N, height, width, channels].
    """
    height, width = images.shape[1], images.shape[2]
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    rows = tf.range(height, dtype=tf.float32)[None, :, None] - middle_row
    columns = tf.range(width, dtype=tf.float32)[None, None, :] - middle_column
    mirrored, scales, angles = (value[:, None, None] for value in (mirrored, scales, angles))
    cosines, sines = tf.cos(angles) / scales, tf.sin(angles) / scales
    # For each pixel of the result, the position in the source that it comes from.
    source_rows = cosines * rows - sines * columns - shifts[:, 0, None, None]
    source_columns = sines * rows + cosines * columns - shifts[:, 1, None, None]
    source_columns = tf.where(mirrored, -source_columns, source_columns)
    upper, down = _reflect(source_rows + middle_row, height)
    left, right = _reflect(source_columns + middle_column, width)
    down, right = (tf.cast(share, images.dtype)[..., None] for share in (down, right))

    pixels = tf.reshape(images, [-1, height * width, images.shape[3]])
    corner = upper * width + left
    above, below = (
        (1 - right) * tf.gather(pixels, start, batch_dims=1) + right * tf.gather(pixels, start + 1, batch_dims=1)
        for start in (corner, corner + width)
    )
    return tf.reshape((1 - down) * above + down * below, images.shape)


def _reflect(places: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps positions into a row of pixels by reflection at its ends.

    Returns the pixel before each position, int64, and the fraction of a pixel from there to the position.
    """
    last = size - 1
    places = last - tf.abs(last - tf.math.floormod(places, 2.0 * last))
    before = tf.clip_by_value(tf.floor(places), 0.0, last - 1.0)
    # A GPU leaves arithmetic on int32 to the CPU.
    return tf.cast(before, tf.int64), places - before
