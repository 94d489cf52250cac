"""Differentiable augmentation (Zhao et al. 2020, arXiv 2006.10738) of all images that D sees, real and fake."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from dcgan_tf.objectives import chance
from dcgan_tf.objectives.chance import subkey

MAX_SHIFT = 1 / 8
CUTOUT_SIDE = 1 / 2


def whole_pixels(share: float, size: int) -> int:
    """A share of an image's side in whole pixels. Halves are rounded up, as in the paper's code."""
    return int(share * size + 0.5)


def translation(images: tf.Tensor, key: tf.Tensor, parts: int) -> tf.Tensor:
    """Shifts each image by up to an eighth of its size in both directions, and fills the gap with gray."""
    count, height, width = images.shape[0], images.shape[1], images.shape[2]
    for axis, size in ((1, height), (2, width)):
        largest = whole_pixels(MAX_SHIFT, size)
        shift = _places([count], subkey(key, axis), -largest, largest + 1, parts)
        # The shift is a product with a matrix of ones and zeros, so its gradient is the shift back.
        source = tf.range(size, dtype=tf.int64)[None, :] - shift[:, None]
        matrix = tf.one_hot(source, size, dtype=images.dtype)
        images = tf.einsum("nij,njkc->nikc" if axis == 1 else "nkj,nijc->nikc", matrix, images)
    return images


def color(images: tf.Tensor, key: tf.Tensor, parts: int) -> tf.Tensor:
    """Shifts brightness by -1/2 to 1/2, and multiplies saturation by 0 to 2 and contrast by 1/2 to 3/2.

    Transparency stays as it is.
    """
    if images.shape[3] == 4:  # Transparency is no color.
        return tf.concat([color(images[..., :3], key, parts), images[..., 3:]], axis=3)
    brightness, saturation, contrast = tf.unstack(
        chance.uniform([3, images.shape[0], 1, 1, 1], key, dtype=images.dtype, parts=parts, axis=1)
    )
    images += brightness - 0.5
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    images = (images - gray) * 2 * saturation + gray
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return (images - mean) * (contrast + 0.5) + mean


def cutout(images: tf.Tensor, key: tf.Tensor, parts: int) -> tf.Tensor:
    """Covers a square of half the image's side with gray. The square may extend beyond the border."""
    covered = []
    for axis, size in enumerate(images.shape[1:3]):
        side = whole_pixels(CUTOUT_SIDE, size)
        # For an even side there is one more center, so that the square extends equally far beyond both borders.
        centers = size + 1 - side % 2
        start = _places([images.shape[0], 1], subkey(key, axis), 0, centers, parts) - side // 2
        position = tf.range(size, dtype=tf.int64)[None, :]
        covered.append(tf.logical_and(position >= start, position < start + side))
    hole = tf.logical_and(covered[0][:, :, None, None], covered[1][:, None, :, None])
    return tf.where(hole, tf.zeros((), images.dtype), images)


def _places(shape: Sequence[int], key: tf.Tensor, minimum: int, maximum: int, parts: int) -> tf.Tensor:
    """Random whole numbers int64, drawn by `chance.uniform`.

    If they were int32, TensorFlow would do the following computations on the CPU, and a GPU would wait for each copy.
    """
    return tf.cast(chance.uniform(shape, key, minimum, maximum, dtype=tf.int32, parts=parts), tf.int64)


AUGMENTATIONS: dict[str, Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
MAX_KEYS_EACH = 4


def augment(images: tf.Tensor, names: Sequence[str], key: tf.Tensor, parts: int = 1) -> tf.Tensor:
    """Applies the named augmentations in the order of `AUGMENTATIONS`. Gradients flow back to the images.

    Args:
        images: float32 [N, height, width, channels] in [-1, 1], of known shape.
        names: Keys of `AUGMENTATIONS`.
        key: int64 [2], the random key. Each image draws its own numbers.
        parts: As in `replicas.share`.

    Returns:
        float32 of the same shape. Values may lie outside [-1, 1].
    """
    for number, (name, function) in enumerate(AUGMENTATIONS.items()):
        if name in names:
            images = function(images, subkey(key, MAX_KEYS_EACH * number), parts)
    return images
