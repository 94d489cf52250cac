"""Usefulness of generated images: classifiers trained on them, on few real images, and on both."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dcgan_tf.data.prepare import ImageData
from dcgan_tf.evaluation.classifier import build_classifier, fit_classifier, right_answers
from dcgan_tf.evaluation.probe import LabeledImages, draw_labels, nearest_neighbor_accuracy
from dcgan_tf.metrics.arrays import standard_error

STEPS = 1200
GENERATED_IMAGES = 10_000
FEW_LABELS = 10


@dataclasses.dataclass(frozen=True)
class SyntheticResult:
    """A classifier, what it was trained on, and its accuracy on real test images.

    The standard error covers the choice of test images, but not the variation between training runs.
    """

    classifier: str
    trained_on: str
    accuracy: float
    standard_error: float | None


def train_on_synthetic(
    generated: np.ndarray, labels: np.ndarray, train: ImageData, test: ImageData, classes: int, seed: int = 0
) -> list[SyntheticResult]:
    """Trains the same small classifier on generated images, on few real ones, and on both.

    Args:
        generated: uint8 [N, height, width, channels], from a conditional generator.
        labels: int64 [N], the classes they were generated from.
        train: Real training images, of which 10 per class are used.
        test: Real test images.
        classes: Number of classes.
        seed: Seed of the choice of the real images.

    Raises:
        UserError: A class has fewer than 10 real images.
    """
    few = draw_labels("`train_on_synthetic=True`", train.labels, FEW_LABELS, classes, np.random.default_rng(seed))
    few_images, few_labels = train.read(few), train.labels[few]
    # Batches contain as many real as generated images on average.
    times = max(1, len(generated) // len(few))
    sets = {
        f"{len(generated):,} generated images": (generated, labels),
        f"{len(few)} real images ({FEW_LABELS} per class)": (few_images, few_labels),
        f"both, with the real ones repeated {times} times": (
            np.concatenate([generated, np.tile(few_images, (times, 1, 1, 1))]),
            np.concatenate([labels, np.tile(few_labels, times)]),
        ),
    }
    results = []
    for trained_on, (images, targets) in sets.items():
        network = build_classifier(images.shape[1:], classes)
        fit_classifier(network, _reader(images), targets, steps=STEPS, description=f"training on {trained_on}")
        right = right_answers(network, test)
        results.append(
            SyntheticResult("small convolutional network", trained_on, float(right.mean()), standard_error(right))
        )
    tested = LabeledImages(test.read, test.labels)
    for trained_on, (images, targets) in list(sets.items())[:2]:
        estimate = nearest_neighbor_accuracy(images, targets, tested)
        results.append(SyntheticResult("1-nearest neighbor, pixels", trained_on, *estimate))
    return results


def _reader(images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: images[rows]
