"""What a discriminator responds to: its first filters, and guided backpropagation of its last features."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import slices
from dcgan_tf.models.pixels import to_float

ROWS = 128


class Strongest(NamedTuple):
    """The most active features.

    Attributes:
        features: int [features], their numbers.
        images: int [features, images], the numbers of the images that excite each feature most.
    """

    features: np.ndarray
    images: np.ndarray


def first_filters(discriminator: keras.Model) -> np.ndarray:
    """The filters of the first layer, each stretched to the full range with 0 at middle gray.

    Returns:
        uint8 [filters, height, width, 1 or 3]. The filters of a fully connected discriminator have the image's size.
    """
    shape = discriminator.inputs[0].shape[1:]
    layer = next(layer for layer in discriminator.layers if hasattr(layer, "kernel"))
    kernel = layer.kernel.numpy()
    filters = kernel.T.reshape(-1, *shape) if kernel.ndim == 2 else np.moveaxis(kernel, 3, 0)
    return stretch(filters)


def stretch(signed: np.ndarray) -> np.ndarray:
    """Signed float [N, height, width, channels] -> uint8. 0 becomes 128; each image's largest magnitude, 0 or 255."""
    signed = signed[..., :3]  # The effect of transparency cannot be shown as transparency.
    largest = np.abs(signed).max((1, 2, 3), keepdims=True)
    return np.rint(127.5 + 127.5 * signed / np.maximum(largest, 1e-12)).astype(np.uint8)


def last_features(discriminator: keras.Model) -> keras.Model:
    """A model from images in [-1, 1] to the activations of the last hidden layer. It shares the weights."""
    activations = [layer for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)]
    return keras.Model(discriminator.inputs[0], activations[-1].output)


def strongest_images(features: keras.Model, images: np.ndarray, count: int, per_feature: int) -> Strongest:
    """Finds the most active features and the images that excite each of them most.

    Args:
        features: A model from `last_features`.
        images: uint8 [N, height, width, channels].
        count: Number of features, chosen by their largest activation for any image.
        per_feature: Number of images per feature, the strongest first.
    """
    peaks = np.concatenate(
        [
            _peak(features(to_float(tf.constant(images[rows])), training=False)).numpy()
            for rows in slices(len(images), ROWS)
        ]
    )
    chosen = np.argsort(-peaks.max(0), kind="stable")[:count]
    return Strongest(chosen, np.argsort(-peaks[:, chosen], axis=0, kind="stable")[:per_feature].T)


def guided_backpropagation(features: keras.Model, images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Guided backpropagation: which pixels excite a feature (Springenberg et al. 2014, arXiv 1412.6806).

    The result is the gradient of the feature's largest activation with respect to the pixels, with one change. On its
    way back through an activation function, the gradient is set to 0 where it is negative, and where the input of the
    function was negative. So the result shows what excites the feature, and leaves out what inhibits it.

    Args:
        features: A model from `last_features`.
        images: uint8 [N, height, width, channels].
        numbers: int [N], the feature for each image.

    Returns:
        float32 [N, height, width, channels].
    """
    x = to_float(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(x)
        answers = x
        for layer in features.layers[1:]:  # The model is a chain, whose first layer is the input.
            if isinstance(layer, keras.layers.LeakyReLU):
                answers = _guided_leaky_relu(answers, tf.constant(layer.negative_slope, answers.dtype))
            else:
                answers = layer(answers, training=False)
        chosen = tf.gather(_peak(answers), tf.constant(numbers), axis=1, batch_dims=1)
    return tape.gradient(chosen, x).numpy()


def require_single_images(discriminator: keras.Model | None, pack: int) -> keras.Model:
    """Returns the discriminator; raises UserError if it judges several images at once."""
    if discriminator is None or pack > 1:
        raise UserError(
            f"this run was trained with `pack={pack}`: its discriminator judges {pack} images at once, so it has no "
            "features of single images"
        )
    return discriminator


def _peak(answers: tf.Tensor) -> tf.Tensor:
    """The largest activation of each feature over its map: float32 [N, features]."""
    answers = tf.cast(answers, tf.float32)
    return tf.reduce_max(answers, axis=(1, 2)) if answers.shape.rank == 4 else answers


@tf.custom_gradient
def _guided_leaky_relu(x: tf.Tensor, slope: tf.Tensor) -> tuple[tf.Tensor, object]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.where(x > 0, tf.nn.relu(upstream), 0.0), None

    return tf.where(x > 0, x, slope * x), gradient
