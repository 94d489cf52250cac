"""Distance, precision and recall of each class, and which class is worst."""

import dataclasses
from typing import Protocol

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.features import Features
from dcgan_tf.evaluation.figures import FeatureSets, format_value
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.metrics.precision_recall import precision_recall

MAX_CLASSES = 100
RARE = 0.1  # A class is hardly generated if its share is less than this part of its share of the real images.


class Labeled(Protocol):
    """Images that may have labels."""

    @property
    def labels(self) -> np.ndarray | None: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """The metrics of one class.

    Attributes:
        name: Name of the class.
        n_real, n_fake: Numbers of its images.
        frechet_distance: Between its real and its generated images; None unless there are more of both than features.
        real_value: The same distance for its training images; None if it is not known.
        precision, recall: Shares from 0 to 1; None if there are too few images to compute them.
    """

    name: str
    n_real: int
    n_fake: int
    frechet_distance: float | None
    real_value: float | None
    precision: float | None
    recall: float | None


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """The metrics by class.

    Attributes:
        network: Name of the network whose features are compared.
        labels: Where the classes come from: "the labels of both sides", or the predictions of a network.
        rows: One row per class.
        worst: Name of the worst class: hardly generated, or else with the distance that exceeds that of real images
            most; empty if no distance is known.
        worst_because: Why, in a few words.
    """

    network: str
    labels: str
    rows: list[ClassRow]
    worst: str
    worst_because: str


def compare_classes(
    sets: FeatureSets, real: Labeled, generated: Labeled, training: Labeled | None = None
) -> ClassTable | None:
    """Compares the generated images of each class with the real images of that class.

    If both sides have labels of the same classes, the labels are used. Otherwise, the classifier predicts the class of
    every image, including the real ones, so that both sides are treated alike.

    Args:
        sets: The features of one network.
        real, generated, training: The labels of these images, if there are any.

    Returns:
        The table; None if the classes are unknown, or if there are fewer than 2 or more than 100.
    """
    names = real.class_names
    sides = {"real": (sets.real, real), "fake": (sets.fake, generated)}
    if sets.training is not None and training is not None:
        sides["training"] = (sets.training, training)
    if names and all(_same_classes(names, side.class_names) and side.labels is not None for _, side in sides.values()):
        classes = {name: side.labels for name, (_, side) in sides.items()}
        known_by = "the labels of both sides"
    elif all(features.probabilities is not None for features, _ in sides.values()):
        classes = {name: np.argmax(_probabilities(features), 1) for name, (features, _) in sides.items()}
        # Not the names of the images' classes, because the classifier may come from another data set.
        names = sets.network.class_names or tuple(map(str, range(_probabilities(sets.fake).shape[1])))
        known_by = f"the predictions of {sets.network.name}"
    else:
        return None
    if not 2 <= len(names) <= MAX_CLASSES:
        return None
    rows = []
    for number, name in enumerate(names):
        part = {side: features.values[classes[side] == number] for side, (features, _) in sides.items()}
        rows.append(_row(name, part["real"], part["fake"], part.get("training")))
    return ClassTable(sets.network.name, known_by, rows, *_worst(rows))


def format_classes(table: ClassTable) -> str:
    """Formats the table for a terminal."""
    width = max(len("class"), *(len(row.name) for row in table.rows))
    head = (
        f"{'class':<{width}}  {'distance':>10}  {'real images':>11}  {'precision':>9}  {'recall':>7}  N real/generated"
    )
    lines = [f"By class (classes: {table.labels}; features: {table.network}):", head]
    for row in table.rows:
        distance, yardstick, precision, recall = cells(row)
        lines.append(
            f"{row.name:<{width}}  {distance:>10}  {yardstick:>11}  {precision:>9}  {recall:>7}  "
            f"{row.n_real:,}/{row.n_fake:,}"
        )
    return "\n".join([*lines, f"Worst: {table.worst} ({table.worst_because})"] if table.worst else lines)


def cells(row: ClassRow) -> list[str]:
    """The distance, the distance of training images, precision and recall as text; empty where they are unknown."""
    values = (row.frechet_distance, row.real_value, row.precision, row.recall)
    return ["" if value is None else format_value(value) for value in values]


def _row(name: str, real: np.ndarray, fake: np.ndarray, training: np.ndarray | None) -> ClassRow:
    needed = real.shape[1] + 1
    distance = frechet_distance(real, fake) if min(len(real), len(fake)) >= needed else None
    has_yardstick = training is not None and min(len(real), len(training)) >= needed
    yardstick = frechet_distance(real, training) if training is not None and has_yardstick else None
    try:
        shares = precision_recall(real, fake)
    except UserError:  # Too few images of this class
        return ClassRow(name, len(real), len(fake), distance, yardstick, None, None)
    return ClassRow(name, len(real), len(fake), distance, yardstick, shares.precision.value, shares.recall.value)


def _worst(rows: list[ClassRow]) -> tuple[str, str]:
    real, fake = sum(row.n_real for row in rows), sum(row.n_fake for row in rows)
    rare = [row for row in rows if row.n_fake * real < RARE * row.n_real * fake]
    if rare:
        rarest = min(rare, key=lambda row: row.n_fake / row.n_real)
        return (
            rarest.name,
            f"{rarest.n_fake:,} of {fake:,} generated images, and {rarest.n_real:,} of {real:,} real ones",
        )
    measured = [(row, row.frechet_distance) for row in rows if row.frechet_distance is not None]
    if not measured:
        return "", ""
    # A class with fewer images has a larger distance, also if they are real.
    worst, distance = max(measured, key=lambda pair: pair[1] - (pair[0].real_value or 0))
    if worst.real_value is None:
        return worst.name, f"the largest distance, {format_value(distance)}"
    return (
        worst.name,
        f"a distance of {format_value(distance)}, where real images have {format_value(worst.real_value)}",
    )


def _same_classes(real: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the labels of both sides have the same classes. In arrays, the names of classes are numbers."""
    return real == other or (len(real) == len(other) and other == tuple(map(str, range(len(other)))))


def _probabilities(features: Features) -> np.ndarray:
    assert features.probabilities is not None
    return features.probabilities
