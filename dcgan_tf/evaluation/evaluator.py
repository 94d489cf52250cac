"""Evaluates a checkpoint of a run with all metrics."""

import dataclasses
import datetime
import pathlib
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from dcgan_tf import __version__, progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import ImageData, cache_root, prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import load_or_train_classifier
from dcgan_tf.evaluation.features import (
    DISCRIMINATOR,
    FeatureNetwork,
    Features,
    cached_features,
    classifier_network,
    compute_features,
    discriminator_network,
    random_network,
    read_batches,
    stacked_network,
)
from dcgan_tf.evaluation.figures import FeatureSets, Figure, measure
from dcgan_tf.evaluation.inception import load_inception
from dcgan_tf.evaluation.labeled import labeled_config, labeled_network
from dcgan_tf.evaluation.memorization import NeighborPicture, distance_ratio, nearest_training_images
from dcgan_tf.evaluation.probe import (
    LabeledImages,
    ProbeResult,
    check_labels,
    pooled_features,
    probe,
    raw_pixels,
)
from dcgan_tf.evaluation.splits import Split, open_split, open_test_split, random_rows, spread_rows
from dcgan_tf.evaluation.synthetic import FEW_LABELS, GENERATED_IMAGES, SyntheticResult, train_on_synthetic
from dcgan_tf.generation.attention import require_single_images
from dcgan_tf.generation.networks import Networks, load_networks
from dcgan_tf.generation.sampling import ROWS_PER_CALL, generate
from dcgan_tf.metrics.arrays import slices
from dcgan_tf.models.configured import configured_discriminator
from dcgan_tf.runs.run_directory import Run

# Increase PROTOCOL with any change in how metrics are computed: only metrics of the same protocol are comparable.
PROTOCOL = 2
GENERATED_AT_ONCE = 8 * ROWS_PER_CALL
MEMORIZATION_IMAGES = 1000
MAX_TRAINING_IMAGES = 100_000
NEIGHBORS_SHOWN = 5
SAMPLES_SHOWN = 8
IMAGES_SHOWN = 64
STACKED_MNIST = "stacked_mnist"


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of an evaluation.

    Attributes:
        checkpoint: ``best``, ``latest``, or a step.
        num: Number of generated images, and at most as many real ones. Both are smaller if there are fewer training
            images.
        seed: Seed of the first generated image.
        inception_weights: File of Inception weights, or empty.
        features_from: Folder of labeled pictures or of a run, whose classifier is used as well; or empty.
        resize: Whether to prepare these pictures at the size of the run's images if theirs is different.
        probe: Whether to test the discriminator's features.
        labels_per_class: Numbers of labels for the probe; 0 stands for all labels.
        draws: Number of random label subsets, unless all labels are used.
        synthetic: Whether to train classifiers on generated images.
    """

    checkpoint: str = "best"
    num: int = 10_000
    seed: int = 0
    inception_weights: str = ""
    features_from: str = ""
    resize: bool = False
    probe: bool = False
    labels_per_class: tuple[int, ...] = (0,)
    draws: int = 10
    synthetic: bool = False


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results.

    ``facts`` is the protocol: what was measured, how, on which data, and when. ``generated`` and ``real`` are images to
    look at, uint8 [N, height, width, channels].
    """

    facts: dict[str, str | int | float]
    networks: list[FeatureNetwork]
    figures: list[Figure]
    left_out: dict[str, str]
    probes: list[ProbeResult]
    synthetic: list[SyntheticResult]
    pictures: list[NeighborPicture]
    generated: np.ndarray
    real: np.ndarray


def evaluate_run(run: Run, options: Options) -> Evaluation:
    """Measures a checkpoint of a run.

    Raises:
        UserError: There is no such checkpoint, the data has changed since training, a weights file is wrong, or
            features are not finite.
    """
    start = time.monotonic()
    tf.config.experimental.enable_op_determinism()
    prepare(run.config)  # Raises an error if the data has changed since training.
    config = run.config
    trained = load_networks(run, options.checkpoint)
    training, test = open_split(config, config.split), open_test_split(config)
    # Raise errors about the options before anything that takes minutes.
    classes = _need_classes(training, test, options) if options.probe or options.synthetic else 0
    probed = _probed_features(trained, config) if options.probe else {}
    if options.synthetic and not config.label_count:
        raise UserError(
            "`train_on_synthetic=True`: expected a run trained with `conditional=True`, because the generated images "
            "need labels"
        )
    networks = _networks(config, training, options)
    left_out = {}
    try:
        networks.append(discriminator_network(require_single_images(trained.discriminator, config.pack)))
    except UserError as error:
        left_out[f"frechet_distance, kernel_distance[{DISCRIMINATOR}]"] = str(error)
    real_rows, yardstick_rows = rows = _choose_rows(training, test, options.num)
    count = len(yardstick_rows)
    if count < options.num:
        progress.logger.info(
            f"`num={options.num}`: only {count:,} images are generated, because there are only as many training images "
            "to compare with."
        )

    kept: list[np.ndarray] = []
    # The classes are as frequent as in the reference, and in random order.
    labels = training.labels[yardstick_rows] if config.label_count else None
    batches = _generated(trained, options.seed, count, labels, kept)
    fakes = compute_features(networks, batches, count, "generated images")
    figures, missing = _measure(networks, fakes, training, test, rows, cache_root(config) / "features")
    left_out |= missing
    generated = np.concatenate(kept)
    memorization, missing, pictures = _memorization(generated, training, test, real_rows)
    figures += memorization
    left_out |= missing
    probes = _probes(probed, training, test.data, classes, options)
    synthetic = _synthetic(trained, training, test.data, classes, options) if options.synthetic else []
    facts: dict[str, str | int | float] = {
        "run": run.directory.resolve().name,
        "protocol": PROTOCOL,
        "checkpoint_step": trained.step,
        "checkpoint": options.checkpoint,
        "images_seen": trained.step * config.batch_size,
        "data": f"{training.source} [{config.split}], {len(training.images):,} training images of "
        f"{'x'.join(map(str, training.images.shape[1:]))}, digest {training.digest}",
        "real_split": test.describe(),
        "resizer_of_the_data": "Lanczos with antialiasing, when prepared",
        "n_fake": count,
        "seed": options.seed,
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "dcgan_tf": __version__,
        "tensorflow": tf.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }
    real = test.data.read(real_rows[:IMAGES_SHOWN])
    return Evaluation(facts, networks, figures, left_out, probes, synthetic, pictures, generated[:IMAGES_SHOWN], real)


def _measure(
    networks: list[FeatureNetwork],
    fakes: dict[str, Features],
    training: ImageData,
    test: Split,
    rows: tuple[np.ndarray, np.ndarray],
    cache: pathlib.Path,
) -> tuple[list[Figure], dict[str, str]]:
    """The metrics of all networks, and the reasons for those that were left out."""
    figures: list[Figure] = []
    left_out: dict[str, str] = {}
    for network in networks:
        progress.logger.info(f"Measuring with {network.name} ...")
        is_discriminator = network.name == DISCRIMINATOR
        description = f"{network.name}, real images"
        real, yardstick = (
            # Features of a discriminator belong to a single checkpoint, so caching them is not worthwhile.
            compute_features([network], read_batches(data.read, part), len(part), description)[network.name]
            if is_discriminator
            else cached_features(network, data.read, part, data.digest, cache, description)
            for data, part in zip((test.data, training), rows, strict=True)
        )
        sets = FeatureSets(network, real, fakes[network.name], yardstick, test.describe())
        found, missing = measure(sets, only_distances=is_discriminator)
        figures += found
        left_out |= missing
    return figures, left_out


def _networks(config: Config, data: ImageData, options: Options) -> list[FeatureNetwork]:
    image_shape = data.images.shape[1:]
    # Raise errors about files and folders before a classifier is trained for minutes.
    if options.resize and not options.features_from:
        raise UserError("`resize=True` has no effect without `features_from`: remove it")
    others = [load_inception(options.inception_weights)] if options.inception_weights else []
    if options.features_from:
        labeled = labeled_config(options.features_from, config, resize=options.resize)
        others.insert(0, labeled_network(labeled, image_shape))
    if config.dataset == STACKED_MNIST:
        digits = dataclasses.replace(config, dataset="mnist", split="train", channels="1")
        return [stacked_network(load_or_train_classifier(digits), image_shape), *others]
    if len(data.class_names) >= 2:
        return [classifier_network(load_or_train_classifier(config), image_shape), *others]
    return [random_network(image_shape), *others]


def _choose_rows(training: ImageData, test: Split, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses rows of real images, and of training images as a reference. They are disjoint even within one split.

    There are as many generated images as rows of the reference, because most metrics depend on these numbers.
    """
    if test.is_held_out:
        yardstick = random_rows(len(training.images), wanted)
        return random_rows(len(test.data.images), len(yardstick)), yardstick
    rows = random_rows(len(training.images), 2 * wanted)
    half = len(rows) // 2
    return rows[:half], rows[half : 2 * half]


def _generated(
    trained: Networks, seed: int, count: int, labels: np.ndarray | None, kept: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yields the images of the seeds from ``seed`` on, and keeps the first of them in ``kept``."""
    for part in slices(count, GENERATED_AT_ONCE):
        seeds = np.arange(seed + part.start, seed + part.stop)
        images = generate(trained.generator, seeds, None if labels is None else labels[part])
        if part.start < MEMORIZATION_IMAGES:
            kept.append(images[: MEMORIZATION_IMAGES - part.start])
        yield images


def _memorization(
    generated: np.ndarray, training: ImageData, test: Split, real_rows: np.ndarray
) -> tuple[list[Figure], dict[str, str], list[NeighborPicture]]:
    """The memorization metric, or the reason why it was left out, and the pictures."""
    name = "memorization_ratio[pixels]"
    searched = spread_rows(len(training.images), MAX_TRAINING_IMAGES)
    count = min(NEIGHBORS_SHOWN, len(searched))
    nearest = nearest_training_images(generated, training.read, searched, count, "neighbors of generated images")

    def picture(title: str, images: np.ndarray, rows: np.ndarray) -> NeighborPicture:
        pairs = [[image, *training.read(found)] for image, found in zip(images, rows, strict=True)]
        return NeighborPicture(title, np.concatenate([np.stack(pair) for pair in pairs]), count + 1)

    closest = np.argsort(nearest.distances[:, 0])[:SAMPLES_SHOWN]
    first = slice(0, SAMPLES_SHOWN)
    pictures = [
        picture("The first generated images and their nearest training images", generated[first], nearest.rows[first]),
        picture(
            f"Those of {len(generated):,} generated images that are nearest to a training image",
            generated[closest],
            nearest.rows[closest],
        ),
    ]
    if not test.is_held_out:
        return [], {name: "there is no split of real images that was not used for training"}, pictures
    held_out = test.data.read(real_rows[:MEMORIZATION_IMAGES])
    of_real = nearest_training_images(held_out, training.read, searched, count, "neighbors of held-out images")
    pictures.append(
        picture("Held-out real images and their nearest training images", held_out[first], of_real.rows[first])
    )
    try:
        ratio = distance_ratio(nearest.distances[:, 0], of_real.distances[:, 0])
    except UserError as error:
        return [], {name: str(error)}, pictures
    figure = Figure(
        name=name,
        value=ratio.value,
        standard_error=ratio.standard_error,
        real_value=1.0,
        better="nearer",
        n_real=len(held_out),
        n_fake=len(generated),
        split=test.describe(),
        network="pixels",
        resizer="none",
        note=f"median distance to the nearest of {len(searched):,} training images, divided by that of held-out images",
    )
    return [figure], {}, pictures


def _probed_features(trained: Networks, config: Config) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    discriminator = require_single_images(trained.discriminator, config.pack)
    untrained = configured_discriminator(config, seed=config.seed + 1)
    return {
        DISCRIMINATOR: pooled_features(discriminator),
        "untrained discriminator": pooled_features(untrained),
        "pixels": raw_pixels,
    }


def _probes(
    probed: dict[str, Callable[[np.ndarray], np.ndarray]],
    training: ImageData,
    test: ImageData,
    classes: int,
    options: Options,
) -> list[ProbeResult]:
    train, tested = (LabeledImages(data.read, data.labels) for data in (training, test))
    return [
        probe(name, function, train, tested, classes, labels_per_class=labels, draws=options.draws, seed=options.seed)
        for labels in options.labels_per_class
        for name, function in probed.items()
    ]


def _synthetic(
    trained: Networks, training: ImageData, test: ImageData, classes: int, options: Options
) -> list[SyntheticResult]:
    labels = np.arange(GENERATED_IMAGES) % classes
    seeds = np.arange(options.seed, options.seed + GENERATED_IMAGES)
    images = generate(trained.generator, seeds, labels)
    return train_on_synthetic(images, labels, training, test, classes, options.seed)


def _need_classes(training: ImageData, test: Split, options: Options) -> int:
    """The number of classes; raises UserError if the probe or the classifiers lack what they need."""
    classes = len(training.class_names)
    for need, is_there in (
        ("classes", classes >= 2),
        ("a held-out split (test or validation)", test.is_held_out),
        ("labels in its held-out split", bool(test.data.class_names) and test.data.labels.min() >= 0),
    ):
        if not is_there:
            raise UserError(
                f"`probe=True` and `train_on_synthetic=True` need a data set with {need}. This one has none"
            )
    if options.probe:
        check_labels("`labels_per_class`", training.labels, max(options.labels_per_class), classes)
    if options.synthetic:
        check_labels("`train_on_synthetic=True`", training.labels, FEW_LABELS, classes)
    return classes
