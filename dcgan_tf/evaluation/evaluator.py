"""Evaluates a checkpoint of a run, or any set of images, with all metrics."""

import dataclasses
import datetime
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf import __version__, progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import ImageData, cache_root, prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.features import DISCRIMINATOR, FeatureNetwork, discriminator_network
from dcgan_tf.evaluation.figures import Figure
from dcgan_tf.evaluation.judge import NetworkOptions, RealSide, measure_sets, other_networks, own_network
from dcgan_tf.evaluation.memorization import (
    NeighborPicture,
    distance_ratio,
    images_to_search,
    nearest_training_images,
)
from dcgan_tf.evaluation.per_class import ClassTable
from dcgan_tf.evaluation.probe import (
    LabeledImages,
    ProbeResult,
    check_labels,
    pooled_features,
    probe,
    raw_pixels,
)
from dcgan_tf.evaluation.sets import ImageSet
from dcgan_tf.evaluation.splits import Split, open_split, open_test_split, random_rows, spread_rows
from dcgan_tf.evaluation.synthetic import FEW_LABELS, GENERATED_IMAGES, SyntheticResult, train_on_synthetic
from dcgan_tf.generation.attention import require_single_images
from dcgan_tf.generation.networks import Networks, load_networks
from dcgan_tf.generation.sampling import generate
from dcgan_tf.models.configured import configured_discriminator
from dcgan_tf.runs.run_directory import Run

# Increase PROTOCOL with any change in how metrics are computed: only metrics of the same protocol are comparable.
PROTOCOL = 2
MEMORIZATION_IMAGES = 1000
MAX_TRAINING_IMAGES = 100_000
NEIGHBORS_SHOWN = 5
SAMPLES_SHOWN = 8
IMAGES_SHOWN = 64


@dataclasses.dataclass(frozen=True)
class Options(NetworkOptions):
    """Options of the evaluation of a run.

    Attributes:
        checkpoint: ``best``, ``latest``, or a step.
        num: Number of generated images, and at most as many real ones. Both are smaller if there are fewer training
            images.
        seed: Seed of the first generated image.
        probe: Whether to test the discriminator's features.
        labels_per_class: Numbers of labels for the probe; 0 stands for all labels.
        draws: Number of random label subsets, unless all labels are used.
        synthetic: Whether to train classifiers on generated images.
    """

    checkpoint: str = "best"
    num: int = 10_000
    seed: int = 0
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
    probes: list[ProbeResult] = dataclasses.field(default_factory=list)
    synthetic: list[SyntheticResult] = dataclasses.field(default_factory=list)
    pictures: list[NeighborPicture] = dataclasses.field(default_factory=list)
    classes: ClassTable | None = None
    generated: np.ndarray | None = None
    real: np.ndarray | None = None

    def as_json(self) -> dict[str, Any]:
        """The contents of evaluation.json."""
        networks = [
            {"name": n.name, "digest": n.digest, "resizer": n.resizer, "description": n.description}
            for n in self.networks
        ]
        return {
            **self.facts,
            "networks": networks,
            "figures": [dataclasses.asdict(figure) for figure in self.figures],
            "left_out": self.left_out,
            "classes": None if self.classes is None else dataclasses.asdict(self.classes),
            "probes": [dataclasses.asdict(result) for result in self.probes],
            "train_on_synthetic": [dataclasses.asdict(result) for result in self.synthetic],
        }


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
    # Raise errors about files and folders before a classifier is trained for minutes.
    others = other_networks(config, options)
    networks = [own_network(config, training.class_names, config.sample_shape), *others]
    left_out = {}
    try:
        networks.append(discriminator_network(require_single_images(trained.discriminator, config.pack)))
    except UserError as error:
        left_out[f"frechet_distance, kernel_distance[{DISCRIMINATOR}]"] = str(error)
    real_rows, yardstick_rows = rows = _choose_rows(training, test, options.num)
    count = len(yardstick_rows)
    if count < options.num:
        progress.logger.info(
            f"`num={options.num}`: only {count:,} images are generated, because there are only that many training "
            "images to compare with."
        )

    # The classes are as frequent as among the training images of the reference, and in random order.
    labels = training.labels[yardstick_rows] if config.label_count else None
    generated = ImageSet.of_generator(trained.generator, config, options.seed, count, labels, str(run.directory))
    cache = cache_root(config) / "features"
    real, yardstick = (
        ImageSet.of_data(data, part, cache) for data, part in zip((test.data, training), rows, strict=True)
    )
    measured = measure_sets(networks, generated, real, yardstick, test.describe())
    figures, left_out = measured.figures, left_out | measured.left_out
    first = generated.read(generated.rows[:MEMORIZATION_IMAGES])
    memorization, missing, pictures = _memorization(first, training, test, real_rows, mirrored=config.flip)
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
        **_circumstances(start),
    }
    shown = first[:IMAGES_SHOWN], test.data.read(real_rows[:IMAGES_SHOWN])
    return Evaluation(facts, networks, figures, left_out, probes, synthetic, pictures, measured.classes, *shown)


def evaluate_sets(networks: list[FeatureNetwork], generated: ImageSet, real: RealSide) -> Evaluation:
    """Compares any two sets of images.

    Args:
        networks: The feature networks.
        generated: The images to be judged.
        real: The images that they are compared with.

    Raises:
        UserError: Features are not finite.
    """
    start = time.monotonic()
    tf.config.experimental.enable_op_determinism()
    measured = measure_sets(networks, generated, real)
    facts: dict[str, str | int | float] = {
        "protocol": PROTOCOL,
        "generated": generated.name,
        "real": real.name,
        "n_fake": len(generated),
        "n_real": len(real),
        **_circumstances(start),
    }
    return Evaluation(facts, networks, measured.figures, measured.left_out, classes=measured.classes)


def _circumstances(start: float) -> dict[str, str | float]:
    """When and with which versions the evaluation that began at ``start`` was made."""
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "dcgan_tf": __version__,
        "tensorflow": tf.__version__,
        "seconds": round(time.monotonic() - start, 1),
    }


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


def _memorization(
    generated: np.ndarray, training: ImageData, test: Split, real_rows: np.ndarray, *, mirrored: bool
) -> tuple[list[Figure], dict[str, str], list[NeighborPicture]]:
    """The memorization metric, or the reason why it was left out, and the pictures."""
    name = f"memorization_ratio[{'pixels-or-mirrored' if mirrored else 'pixels'}]"
    total = len(training.images)
    read, searched = images_to_search(training.read, spread_rows(total, MAX_TRAINING_IMAGES), total, mirrored=mirrored)
    count = min(NEIGHBORS_SHOWN, len(searched))
    nearest = nearest_training_images(generated, read, searched, count, "neighbors of generated images")

    def picture(title: str, images: np.ndarray, rows: np.ndarray) -> NeighborPicture:
        pairs = [[image, *read(found)] for image, found in zip(images, rows, strict=True)]
        return NeighborPicture(title, np.concatenate([np.stack(pair) for pair in pairs]), count + 1)

    closest = np.argsort(nearest.distances[:, 0])[:SAMPLES_SHOWN]
    first = slice(0, SAMPLES_SHOWN)
    pictures = [
        picture("The first generated images and their nearest training images", generated[first], nearest.rows[first]),
        picture(
            f"Of {len(generated):,} generated images, those that are nearest to a training image",
            generated[closest],
            nearest.rows[closest],
        ),
    ]
    if not test.is_held_out:
        return [], {name: "there is no held-out split of real images"}, pictures
    held_out = test.data.read(real_rows[:MEMORIZATION_IMAGES])
    of_real = nearest_training_images(held_out, read, searched, count, "neighbors of held-out images")
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
        note=f"median distance to the nearest of {len(searched):,} training images"
        f"{' (half of them mirrored)' if mirrored else ''}, divided by that of held-out images",
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
