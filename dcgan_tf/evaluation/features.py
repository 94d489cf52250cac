"""Feature networks: a classifier of the data, random convolutions, and the run's own discriminator."""

import contextlib
import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import files, progress
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import Classifier
from dcgan_tf.metrics.arrays import slices
from dcgan_tf.models.pixels import to_float
from dcgan_tf.models.weights import digest_of_weights

IMAGES_PER_CALL = 250
DISCRIMINATOR = "discriminator"
RANDOM_FEATURES = 128
RANDOM_SEED = 20151119
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Features:
    """The outputs of a network for a set of images.

    Attributes:
        values: float32 [images, features].
        probabilities: float32 [images, classes]; None if the network has no classes.
    """

    values: np.ndarray
    probabilities: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A frozen network whose features are compared.

    Attributes:
        name: Name of the network, which is part of the name of every metric that uses it.
        digest: Digest of its weights.
        resizer: How images are resized to the network's input size.
        description: One sentence for the protocol.
        function: Maps uint8 [N, height, width, channels] to features float32 [N, F], and probabilities or None.
        counts_modes: Whether its classes are the modes of the data set.
        class_names: Names of its classes; empty if it has none, or if they are only numbered.
    """

    name: str
    digest: str
    resizer: str
    description: str
    function: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]
    counts_modes: bool = False
    class_names: tuple[str, ...] = ()


def classifier_network(classifier: Classifier, image_shape: tuple[int, ...]) -> FeatureNetwork:
    """The hidden layer and the class probabilities of a classifier of the data set's own images."""
    specification = tf.TensorSpec((None, *image_shape), tf.uint8)

    @tf.function(input_signature=[specification])
    def function(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = classifier.network(images, training=False)
        return outputs["features"], tf.nn.softmax(outputs["logits"])

    return FeatureNetwork(
        classifier.name,
        classifier.digest,
        "none",
        f"classifier trained on the split train, {classifier.accuracy:.2%} accuracy on {classifier.accuracy_split}",
        function,
        class_names=classifier.class_names,
    )


def stacked_network(classifier: Classifier, image_shape: tuple[int, ...]) -> FeatureNetwork:
    """The digit classifier applied to each channel of Stacked MNIST, with joined features and 1,000 classes."""

    @tf.function(input_signature=[tf.TensorSpec((None, *image_shape), tf.uint8)])
    def function(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = [classifier.network(images[..., channel, None], training=False) for channel in range(3)]
        red, green, blue = (tf.nn.softmax(output["logits"]) for output in outputs)
        # Class 100 r + 10 g + b.
        triples = red[:, :, None, None] * green[:, None, :, None] * blue[:, None, None, :]
        return tf.concat([output["features"] for output in outputs], 1), tf.reshape(triples, [-1, 1000])

    return FeatureNetwork(
        f"{classifier.name}-per-channel",
        classifier.digest,
        "none",
        f"digit classifier on each channel, {classifier.accuracy:.2%} accuracy on {classifier.accuracy_split}",
        function,
        counts_modes=True,
    )


@functools.cache
def random_network(image_shape: tuple[int, ...]) -> FeatureNetwork:
    """Convolutions with fixed random weights, which are cheap, never change and need no labels.

    Such features distinguish what is visibly different, but know nothing about its meaning. Naeem et al. 2020 use them
    for images unlike those of ImageNet. They are good enough to compare checkpoints of a run, but not to compare with
    papers.
    """
    seeds = keras.random.SeedGenerator(RANDOM_SEED)
    image = keras.Input(image_shape, name="image")
    x, filters = image, 32
    while max(x.shape[1:3]) > 4:
        x = keras.layers.Conv2D(
            filters,
            5,
            strides=2,
            padding="same",
            kernel_initializer=keras.initializers.HeNormal(seed=seeds),
            bias_initializer=keras.initializers.RandomNormal(stddev=0.1, seed=seeds),
            activation="relu",
        )(x)
        filters = min(2 * filters, 128)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(RANDOM_FEATURES, kernel_initializer=keras.initializers.HeNormal(seed=seeds))(x)
    network = keras.Model(image, x, name="random_convolutions")
    function = _float_function(network, image_shape)
    return FeatureNetwork(
        "random-convolutions", digest_of_weights(network), "none", "convolutions with fixed random weights", function
    )


def discriminator_network(discriminator: keras.Model) -> FeatureNetwork:
    """The last hidden layer of a discriminator of single images, with its feature map averaged over positions.

    The features are not comparable between runs.
    """
    image = discriminator.inputs[0]
    hidden = [layer for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)][-1].output
    if len(hidden.shape) == 4:
        hidden = keras.layers.GlobalAveragePooling2D(dtype="float32")(hidden)
    network = keras.Model(image, hidden, name="discriminator_features")
    return FeatureNetwork(
        DISCRIMINATOR,
        digest_of_weights(discriminator),
        "none",
        "last hidden layer of the run's own discriminator: not comparable between runs",
        _float_function(network, image.shape[1:]),
    )


def compute_features(
    networks: list[FeatureNetwork], batches: Iterator[np.ndarray], count: int, description: str
) -> dict[str, Features]:
    """Runs images through all networks batch by batch, so that the images need not be kept.

    Args:
        networks: Networks with different names.
        batches: Batches uint8 [N, height, width, channels].
        count: Total number of images.
        description: Text of the progress bar.

    Returns:
        The features by the name of the network.

    Raises:
        UserError: Features are not finite.
    """
    parts: dict[str, list[tuple[np.ndarray, np.ndarray | None]]] = {network.name: [] for network in networks}
    with progress.bar(total=count, desc=description, unit=" images") as shown:
        for images in batches:
            for network in networks:
                values, probabilities = network.function(tf.constant(images))
                parts[network.name].append((values.numpy(), None if probabilities is None else probabilities.numpy()))
            shown.update(len(images))
    features = {}
    for network in networks:
        values = np.concatenate([part[0] for part in parts[network.name]])
        if not np.isfinite(values).all():
            raise UserError(
                f"the features of {network.name} for {description} are not finite. The weights of the run or of the "
                "feature network are broken; try an earlier `checkpoint`"
            )
        has_probabilities = parts[network.name][0][1] is not None
        probabilities = np.concatenate([part[1] for part in parts[network.name]]) if has_probabilities else None
        features[network.name] = Features(values, probabilities)
    return features


def read_batches(
    read: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, at_once: int = IMAGES_PER_CALL
) -> Iterator[np.ndarray]:
    """Yields the images of the given rows int64 [N] in batches of at most ``at_once``."""
    for part in slices(len(rows), at_once):
        yield read(rows[part])


def cached_features(
    network: FeatureNetwork,
    read: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    data_digest: str,
    folder: pathlib.Path,
    description: str,
) -> Features:
    """The features of prepared images, computed only once for each network and choice of rows.

    If they cannot be stored, a warning is logged, and the next call computes them again.

    Args:
        network: A network that is not the discriminator of a run.
        read: Maps rows to images.
        rows: int64, rows of the images.
        data_digest: Digest of the data set.
        folder: Folder of the cache.
        description: Text of the progress bar.
    """
    key = hashlib.sha256(f"{FORMAT_VERSION} {data_digest} {network.digest}".encode())
    key.update(np.ascontiguousarray(rows, np.int64).tobytes())
    path = folder / f"{network.name}-{key.hexdigest()[:16]}.npz"
    if path.exists():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            cached = files.read_arrays(path)
            values = cached["values"]
            if values.ndim == 2 and len(values) == len(rows) and np.isfinite(values).all():
                return Features(values, cached.get("probabilities"))
        progress.logger.info(f"The cached features '{path}' are damaged: computing them again.")
    features = compute_features([network], read_batches(read, rows), len(rows), description)[network.name]
    arrays = {"values": features.values}
    if features.probabilities is not None:
        arrays["probabilities"] = features.probabilities
    with progress.decoration(f"The cache '{path}'"):
        folder.mkdir(parents=True, exist_ok=True)
        files.write_arrays(path, **arrays)
    return features


def _float_function(network: keras.Model, image_shape: tuple[int, ...]) -> Callable:
    @tf.function(input_signature=[tf.TensorSpec((None, *image_shape), tf.uint8)])
    def function(images: tf.Tensor) -> tuple[tf.Tensor, None]:
        return network(to_float(images), training=False), None

    return function
