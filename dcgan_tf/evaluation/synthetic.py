"""Are generated images of use? A classifier trained on them and tested on real ones, and with few real labels."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dcgan_tf.data.prepare import ImageData
from dcgan_tf.evaluation.classifier import build_classifier, fit_classifier, right_answers
from dcgan_tf.evaluation.probe import LabelledImages, draw_labels, nearest_neighbor_accuracy
from dcgan_tf.metrics.arrays import standard_error

STEPS = 1200
GENERATED_IMAGES = 10_000
FEW_LABELS = 10


@dataclasses.dataclass(frozen=True)
class SyntheticResult:
    """One classifier: what it was trained on, its accuracy on real test images, and the standard error of that over
    the test images; another training would give another classifier."""

    classifier: str
    trained_on: str
    accuracy: float
    standard_error: float | None


def train_on_synthetic(
    generated: np.ndarray, labels: np.ndarray, train: ImageData, test: ImageData, classes: int, seed: int = 0
) -> list[SyntheticResult]:
    """Trains the same small classifier on generated images, on few real ones, and on both.

    Args:
        generated: uint8 [N, height, width, channels], of a conditional generator.
        labels: int64 [N], the classes that were asked for.
        train: real images, of which 10 a class are used.
        test: real images.
        classes: how many.
        seed: of the choice of the few.

    Raises:
        UserError: a class has fewer than 10 real images.
    """
    few = draw_labels("`train_on_synthetic=True`", train.labels, FEW_LABELS, classes, np.random.default_rng(seed))
    few_images, few_labels = train.read(few), train.labels[few]
    # As many real as generated images in each batch, on average.
    times = max(1, len(generated) // len(few))
    sets = {
        f"{len(generated):,} generated images": (generated, labels),
        f"{len(few)} real images ({FEW_LABELS} a class)": (few_images, few_labels),
        f"both, the real ones {times} times": (
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
    tested = LabelledImages(test.read, test.labels)
    for trained_on, (images, targets) in list(sets.items())[:2]:
        estimate = nearest_neighbor_accuracy(images, targets, tested)
        results.append(SyntheticResult("1-nearest neighbour, pixels", trained_on, *estimate))
    return results


def _reader(images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: images[rows]
