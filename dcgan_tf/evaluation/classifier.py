"""A small classifier of a data set's own images, trained once: the feature network of labelled data."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import files, progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import ImageData, cache_root
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.evaluation.splits import dataset_name, open_split, open_test_split, spread_rows
from dcgan_tf.models.pixels import to_float
from dcgan_tf.models.weights import digest_of_weights

# Any change of what follows is a change of RECIPE: figures of one recipe are comparable, and it is part of the key.
RECIPE = 2
STEPS = 3600
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
FEATURES = 128
SEED = 0
SHIFT = 1
TEST_IMAGES = 20_000


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        name: such as ``mnist-classifier``; part of every figure that rests on it.
        network: uint8 [N, height, width, channels] -> {"features": float32 [N, 128], "logits": [N, classes]}.
        digest: of its weights.
        accuracy: share of right answers.
        accuracy_split: on which images.
    """

    name: str
    network: keras.Model
    digest: str
    accuracy: float
    accuracy_split: str


def load_or_train_classifier(config: Config) -> Classifier:
    """The classifier of a data set's split ``train``, else the run's, at the size of a configuration's images.

    It is cached beside the prepared data; its key are the images, the labels and the recipe. Training draws nothing
    but from a fixed seed: the same data give the same weights on the same machine and package versions.

    Args:
        config: complete, without ``auto``; names the data set and the image size.

    Raises:
        UserError: the data set has no classes.
    """
    tf.config.experimental.enable_op_determinism()
    try:
        data = open_split(config, "train")
        config = dataclasses.replace(config, split="train")  # Whatever the run was trained on
    except UnknownSplitError:
        data = open_split(config, config.split)
    if len(data.class_names) < 2:
        raise UserError(f"`dataset={config.dataset}` has no classes, so no classifier can be trained on it")
    name = f"{dataset_name(config)}-classifier"
    key = hashlib.sha256(json.dumps([RECIPE, data.digest]).encode()).hexdigest()[:12]
    path = cache_root(config) / "classifiers" / f"{name}-{key}.npz"
    network = build_classifier(data.images.shape[1:], len(data.class_names))
    test = open_test_split(config)
    if test.data.class_names and test.data.labels.min() >= 0:
        tested, images = test.data, test.describe()
    else:
        tested, images = data, f"its training split, as {test.name} has no labels"
    loaded = _load(network, path)
    if loaded is None:
        progress.logger.info(f"Training the {name}, once for this data set ...")
        fit_classifier(network, data.read, data.labels, steps=STEPS, description=f"training {name}")
    if loaded is None or loaded[2] != tested.digest:
        right = right_answers(network, tested)
        loaded = float(right.mean()), f"{len(right)} images of {images}", tested.digest
        _save(network, loaded, path)
    accuracy, accuracy_split, _ = loaded
    progress.logger.info(f"{name}: {accuracy:.2%} accuracy on {accuracy_split}")
    return Classifier(name, network, digest_of_weights(network), accuracy, accuracy_split)


def build_classifier(image_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Convolutions with BatchNorm down to a map of at most 8x8, a hidden layer of 128 features, and logits."""
    seeds = keras.random.SeedGenerator(SEED)
    layers = keras.layers

    def block(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int) -> keras.KerasTensor:
        initializer = keras.initializers.HeNormal(seed=seeds)
        x = layers.Conv2D(
            filters, kernel_size, strides=strides, padding="same", use_bias=False, kernel_initializer=initializer
        )(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    image = keras.Input(image_shape, dtype="uint8", name="image")
    x = block(layers.Lambda(to_float, output_shape=image_shape)(image), 32, 5, 2)
    x = block(x, 32, 3, 1)
    while max(x.shape[1:3]) > 8:
        x = block(x, 64, 3, 2)
        x = block(x, 64, 3, 1)
    x = layers.Dropout(0.2, seed=SEED)(layers.Flatten()(x))
    initializer = keras.initializers.HeNormal(seed=seeds)
    features = layers.Dense(FEATURES, activation="relu", kernel_initializer=initializer, name="features")(x)
    x = layers.Dropout(0.3, seed=SEED + 1)(features)
    logits = layers.Dense(classes, kernel_initializer=keras.initializers.GlorotUniform(seed=seeds), name="logits")(x)
    return keras.Model(image, {"features": features, "logits": logits}, name="classifier")


def fit_classifier(
    network: keras.Model,
    read: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    *,
    steps: int,
    description: str,
) -> None:
    """Trains with Adam, cross-entropy and a learning rate that rises and then falls to zero along a cosine.

    Args:
        network: as `build_classifier` makes it.
        read: from rows int64 [N] to images uint8 [N, height, width, channels].
        labels: int64, one a row.
        steps: of 128 images each, every image once an epoch.
        description: of the progress bar.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20, steps - steps // 12, warmup_target=LEARNING_RATE, warmup_steps=steps // 12
    )
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(network.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = cross_entropy(targets, network(images, training=True)["logits"])
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    batch_size = min(BATCH_SIZE, len(labels))
    for step in progress.bar(range(steps), desc=description, unit="step"):
        epoch, batch = divmod(step, len(labels) // batch_size)
        if batch == 0:
            order = np.random.Generator(np.random.Philox(key=[SEED, epoch])).permutation(len(labels))
        rows = order[batch * batch_size : (batch + 1) * batch_size]
        train_step(tf.constant(_shift(read(rows), step)), tf.constant(labels[rows]))


def right_answers(network: keras.Model, data: ImageData) -> np.ndarray:
    """Whether the most probable class is the right one, for at most 20,000 images: bool [images]."""
    rows = spread_rows(len(data.images), TEST_IMAGES)
    parts = [rows[start : start + 500] for start in range(0, len(rows), 500)]
    right = [np.argmax(network(data.read(part), training=False)["logits"], 1) == data.labels[part] for part in parts]
    return np.concatenate(right)


def _shift(images: np.ndarray, step: int) -> np.ndarray:
    """Moves each image by up to a pixel in both directions: what a class is does not depend on its exact place."""
    offsets = np.random.Generator(np.random.Philox(key=[SEED + 1, step])).integers(0, 2 * SHIFT + 1, (len(images), 2))
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    return np.stack(
        [image[y : y + height, x : x + width] for image, (y, x) in zip(padded, offsets.tolist(), strict=True)]
    )


def _save(network: keras.Model, facts: tuple[float, str, str], path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"weight_{number:03d}": array for number, array in enumerate(network.get_weights())}
    accuracy, accuracy_split, tested_digest = facts
    files.write_arrays(
        path,
        accuracy=accuracy,
        accuracy_split=accuracy_split,
        tested_digest=tested_digest,
        digest=digest_of_weights(network),
        **arrays,
    )


def _load(network: keras.Model, path: pathlib.Path) -> tuple[float, str, str] | None:
    """Sets the weights and returns the accuracy, on which images, and their digest; None where the file is missing or
    damaged. Earlier releases did not write the digest."""
    if not path.exists():
        return None
    try:
        arrays = files.read_arrays(path)
        network.set_weights([arrays[name] for name in sorted(arrays) if name.startswith("weight_")])
        if str(arrays["digest"]) == digest_of_weights(network):
            return float(arrays["accuracy"]), str(arrays["accuracy_split"]), str(arrays.get("tested_digest", ""))
        reason = "its digest differs"
    except (ValueError, TypeError, KeyError) as error:
        reason = files.reason(error)
    progress.logger.info(f"The cached classifier '{path}' is damaged ({reason}): training it again.")
    return None
