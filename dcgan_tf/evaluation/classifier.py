"""A small classifier, trained once per data set, which is the feature network for labeled data."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import ImageData, cache_root
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.evaluation.classifier_files import (
    Facts,
    load_classifier,
    restore_training,
    save_classifier,
    save_training,
    unfinished,
)
from dcgan_tf.evaluation.splits import dataset_name, open_split, open_test_split, spread_rows
from dcgan_tf.metrics.arrays import random_order, slices
from dcgan_tf.models.pixels import to_float
from dcgan_tf.models.weights import digest_of_weights

# Any change to this module that changes the classifier needs a new recipe number, which is part of the key: only
# metrics of the same recipe are comparable. Large images have their own recipe, so that their classifier takes no
# longer to train than that of digits.
MAX_SMALL_SIDE = 32
RECIPE = 2
STEPS = 3600
LARGE_RECIPE = 3
LARGE_STEPS = 1800
HELD_OUT_SHARE = 0.1
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
FEATURES = 128
# Folder of the bundled classifiers, which `python -m docs.classifiers` trains.
BUNDLED = pathlib.Path(__file__).parent / "classifiers"
SEED = 0
PIXELS_PER_SHIFT = 32
TEST_IMAGES = 20_000
SAVE_EVERY = 100
IMAGES_PER_CALL = 500


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        name: A name such as ``mnist-classifier``, which is part of the name of every metric that uses it.
        network: uint8 [N, height, width, channels] -> {"features": float32 [N, 128], "logits": [N, classes]}.
        digest: Digest of its weights.
        accuracy: Share of correct predictions.
        accuracy_split: The images it was tested on.
        trained_on: The data set, with the digest of its images.
        class_names: Names of the classes in the order of the logits.
    """

    name: str
    network: keras.Model
    digest: str
    accuracy: float
    accuracy_split: str
    trained_on: str = ""
    class_names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Parts:
    """The images that a classifier is trained and tested on.

    Attributes:
        train_rows: int64, rows of the training split.
        tested: The data set of the test images.
        test_rows: int64, rows of that data set.
        description: What the test images are, in words that follow "N images of".
        holds_out: Whether the test images are a held-out part of the training split.
    """

    train_rows: np.ndarray
    tested: ImageData
    test_rows: np.ndarray
    description: str
    holds_out: bool


def load_or_train_classifier(config: Config, *, refuse_damaged: bool = False) -> Classifier:
    """Loads or trains the classifier of a data set at the image size of a configuration.

    It is trained on the split ``train``, or on the run's split if there is no such split. It is cached next to the
    prepared data, with a key made from the images, the labels and the recipe. Training uses a fixed seed, so the same
    data gives the same weights on the same machine with the same package versions, even if it was interrupted and
    resumed.

    Args:
        config: A complete configuration without ``auto``, which gives the data set and the image size.
        refuse_damaged: Raise an error if the cached classifier is damaged, instead of training it again.

    Raises:
        UserError: The data set has no classes, or the cached classifier is damaged and ``refuse_damaged`` is set.
    """
    tf.config.experimental.enable_op_determinism()
    try:
        data = open_split(config, "train")
        config = dataclasses.replace(config, split="train")  # Even if the run was trained on another split
    except UnknownSplitError:
        data = open_split(config, config.split)
    if len(data.class_names) < 2:
        raise UserError(f"`dataset={config.dataset}` has no classes, so no classifier can be trained on it")
    name = f"{dataset_name(config)}-classifier"
    parts = _choose_parts(config, data)
    path = cache_root(config) / "classifiers" / f"{name}-{_key(data, parts)}.npz"
    network, facts = _read_cached(data, path, refuse_damaged)
    if facts is None:
        _train(network, data, parts.train_rows, name, path)
    if facts is None or facts.tested_digest != parts.tested.digest:
        right = right_answers(network, parts.tested, parts.test_rows)
        facts = Facts(float(right.mean()), f"{len(right)} images of {parts.description}", parts.tested.digest)
        save_classifier(network, facts, path)
        unfinished(path).unlink(missing_ok=True)
    accuracy, accuracy_split, _ = facts
    progress.logger.info(f"{name}: {accuracy:.2%} accuracy on {accuracy_split}")
    trained_on = f"{data.source}, digest {data.digest}"
    return Classifier(name, network, digest_of_weights(network), accuracy, accuracy_split, trained_on, data.class_names)


def is_large(image_shape: tuple[int, ...]) -> bool:
    """Whether images of a shape (height, width, channels) use the recipe for large images."""
    return max(image_shape[:2]) > MAX_SMALL_SIDE


def _choose_parts(config: Config, data: ImageData) -> _Parts:
    """Chooses the test images: a held-out split with labels, or else a tenth of the training images."""
    test = open_test_split(config)
    has_labels = bool(test.data.class_names) and test.data.labels.min() >= 0
    if not (test.is_held_out and has_labels):
        order = random_order(len(data.images), key=SEED + 1)
        count = max(1, round(HELD_OUT_SHARE * len(order)))
        held_out, rest = np.sort(order[:count]), np.sort(order[count:])
        return _Parts(rest, data, held_out, f"{config.split}, held out of its training", True)
    test_rows = spread_rows(len(test.data.images), TEST_IMAGES)
    return _Parts(np.arange(len(data.images)), test.data, test_rows, test.describe(), False)


def _key(data: ImageData, parts: _Parts) -> str:
    recipe = LARGE_RECIPE if is_large(data.images.shape[1:]) else RECIPE
    recipe_and_data = [recipe, data.digest] + [HELD_OUT_SHARE] * parts.holds_out
    return hashlib.sha256(json.dumps(recipe_and_data).encode()).hexdigest()[:12]


def _read_cached(data: ImageData, path: pathlib.Path, refuse_damaged: bool) -> tuple[keras.Model, Facts | None]:
    """The trained network and its facts, or a new network and None if there is no usable file."""
    network = build_classifier(data.images.shape[1:], len(data.class_names))
    try:
        return network, load_classifier(network, path) or load_classifier(network, BUNDLED / path.name)
    except ValueError as error:
        damage = f"The cached classifier '{path}' is damaged ({error})"
    if refuse_damaged:
        raise UserError(f"{damage}. Remove the file, and repeat the command to train it again") from None
    progress.logger.info(f"{damage}: training it again.")
    return build_classifier(data.images.shape[1:], len(data.class_names)), None


def _train(network: keras.Model, data: ImageData, rows: np.ndarray, name: str, path: pathlib.Path) -> None:
    progress.logger.info(f"Training the {name}, once for this data set ...")
    path.parent.mkdir(parents=True, exist_ok=True)
    fit_classifier(
        network,
        lambda chosen: data.read(rows[chosen]),
        data.labels[rows],
        steps=LARGE_STEPS if is_large(data.images.shape[1:]) else STEPS,
        description=f"training {name}",
        checkpoint=unfinished(path),
    )


def build_classifier(image_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Builds convolutions with BatchNorm down to a map of at most 8x8, a hidden layer of 128 features, and logits.

    For large images, the layers have few filters until the map is at most 16x16. At 64x64, a step then costs a quarter
    of what it would with the filters for small images.
    """
    seeds = keras.random.SeedGenerator(SEED)
    layers = keras.layers

    def block(x: keras.KerasTensor, filters: int, kernel_size: int, strides: int) -> keras.KerasTensor:
        initializer = keras.initializers.HeNormal(seed=seeds)
        x = layers.Conv2D(
            filters, kernel_size, strides=strides, padding="same", use_bias=False, kernel_initializer=initializer
        )(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    image = keras.Input(image_shape, dtype="uint8", name="image")
    x = layers.Lambda(to_float, output_shape=image_shape)(image)
    if is_large(image_shape):
        x = block(x, 16, 5, 2)
        while max(x.shape[1:3]) > 16:
            x = block(x, 32, 3, 2)
    else:
        x = block(x, 32, 5, 2)
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
    checkpoint: pathlib.Path | None = None,
) -> None:
    """Trains with Adam, cross-entropy and a learning rate that rises and then falls to zero along a cosine.

    Args:
        network: A model from `build_classifier`.
        read: Maps rows int64 [N] to images uint8 [N, height, width, channels].
        labels: int64, one per row.
        steps: Number of steps with 128 images each. Every epoch uses each image once.
        description: Text of the progress bar.
        checkpoint: File in which the training is saved every 100 steps, and from which it continues bit for bit.
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

    # The variables include the random states of dropout, which are not weights.
    variables = [*network.variables, *optimizer.variables]
    first = restore_training(variables, checkpoint, steps) if checkpoint else 0
    batch_size = min(BATCH_SIZE, len(labels))
    batches = len(labels) // batch_size
    for step in progress.bar(range(first, steps), desc=description, unit="step", initial=first, total=steps):
        epoch, batch = divmod(step, batches)
        if batch == 0 or step == first:
            order = np.random.Generator(np.random.Philox(key=[SEED, epoch])).permutation(len(labels))
        rows = order[batch * batch_size : (batch + 1) * batch_size]
        train_step(tf.constant(_shift(read(rows), step)), tf.constant(labels[rows]))
        if checkpoint and (step + 1) % SAVE_EVERY == 0 and step + 1 < steps:
            save_training(variables, step + 1, checkpoint)


def class_logits(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """The logits of images uint8 [N, height, width, channels]: float32 [N, classes]."""
    parts = slices(len(images), IMAGES_PER_CALL)
    return np.concatenate([np.asarray(network(images[part], training=False)["logits"]) for part in parts])


def right_answers(network: keras.Model, data: ImageData, rows: np.ndarray | None = None) -> np.ndarray:
    """Whether the most probable class is the correct one: bool [images].

    Args:
        network: A model from `build_classifier`.
        data: Images with labels.
        rows: int64, the images to test. None: at most 20,000, evenly spread.
    """
    rows = spread_rows(len(data.images), TEST_IMAGES) if rows is None else rows
    parts = [rows[part] for part in slices(len(rows), IMAGES_PER_CALL)]
    right = [np.argmax(network(data.read(part), training=False)["logits"], 1) == data.labels[part] for part in parts]
    return np.concatenate(right)


def _shift(images: np.ndarray, step: int) -> np.ndarray:
    """Shifts each image by up to a pixel in both directions, and large images by up to a 32nd of their side.

    This teaches the classifier that the class does not depend on the exact position.
    """
    height, width = images.shape[1:3]
    most = max(1, max(height, width) // PIXELS_PER_SHIFT)
    offsets = np.random.Generator(np.random.Philox(key=[SEED + 1, step])).integers(0, 2 * most + 1, (len(images), 2))
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    return np.stack(
        [image[y : y + height, x : x + width] for image, (y, x) in zip(padded, offsets.tolist(), strict=True)]
    )
