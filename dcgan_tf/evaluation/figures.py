"""From features to named metrics, each with a record of how it was computed."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.features import FeatureNetwork, Features
from dcgan_tf.metrics.arrays import Estimate
from dcgan_tf.metrics.class_balance import class_balance
from dcgan_tf.metrics.density_coverage import density_coverage
from dcgan_tf.metrics.diversity import mean_pairwise_distance
from dcgan_tf.metrics.frechet import extrapolated_frechet_distance, frechet_distance, frechet_standard_error
from dcgan_tf.metrics.inception_score import inception_score
from dcgan_tf.metrics.kernel import kernel_distance
from dcgan_tf.metrics.modes import count_modes
from dcgan_tf.metrics.precision_recall import precision_recall

# With more features than this, the jackknife of the Frechet distance takes minutes.
MAX_FEATURES_FOR_FRECHET_ERROR = 512
# Name of a network -> the name of its Frechet distance.
FID_NAMES = {
    "inception-2015": "FID",
    "inception-2015-pytorch": "FID as pytorch-fid computes it",
    "inception-2015-clean": "clean-FID",
}
# Value of `Figure.better` -> its text in tables.
DIRECTIONS = {"lower": "lower", "higher": "higher", "nearer": "closer to real"}


@dataclasses.dataclass(frozen=True)
class Figure:
    """One metric of an evaluation.

    Attributes:
        name: Name of the metric, with the network in brackets.
        value: Its value for the generated images.
        standard_error: Standard error of the value; None if there is none.
        real_value: The metric of the same number of training images in place of generated ones, which is what a perfect
            generator would score. None if that has no meaning.
        better: "lower", "higher", or "nearer" to the value of real images.
        n_real, n_fake: Numbers of images used.
        split: Split of the real images.
        network: Name and digest of the network.
        resizer: How images were resized for the network.
        note: Any other remark.
    """

    name: str
    value: float
    standard_error: float | None
    real_value: float | None
    better: str
    n_real: int
    n_fake: int
    split: str
    network: str
    resizer: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class FeatureSets:
    """The features of one network.

    Attributes:
        network: The network.
        real: Features of held-out images, with which the others are compared.
        fake: Features of generated images.
        training: Features of as many training images, as a reference; None if there are none.
        split: Name of the split of the held-out images.
    """

    network: FeatureNetwork
    real: Features
    fake: Features
    training: Features | None
    split: str


Measured = Iterator[tuple[str, str, Estimate, float | None, str]]


def measure(sets: FeatureSets, *, only_distances: bool = False) -> tuple[list[Figure], dict[str, str]]:
    """Computes all metrics that a network's features allow.

    Args:
        sets: The features of one network.
        only_distances: Whether to compute only the Frechet and the kernel distance.

    Returns:
        The metrics, and for each metric that was left out, the reason.
    """
    measures: dict[str, Callable[[FeatureSets], Measured]] = {
        "frechet_distance": _frechet, "kernel_distance": _kernel
    }  # fmt: skip
    if not only_distances:
        measures |= {
            "frechet_distance_extrapolated": _extrapolated,
            "precision, recall": _precision_recall,
            "density, coverage": _density_coverage,
            "mean_pairwise_distance": _diversity,
        }
        if sets.fake.probabilities is not None:
            measures |= {"classifier_score": _score, "class_entropy, classes_missing": _classes}
        if sets.network.counts_modes:
            measures["modes_found, modes_kl"] = _modes
    figures, left_out = [], {}
    for measure_name, function in measures.items():
        try:
            for name, better, estimate, real_value, note in function(sets):
                figures.append(
                    Figure(
                        name=f"{name}[{sets.network.name}]",
                        value=estimate.value,
                        standard_error=estimate.standard_error,
                        real_value=real_value,
                        better=better,
                        n_real=len(sets.real.values),
                        n_fake=len(sets.fake.values),
                        split=sets.split,
                        network=f"{sets.network.name} {sets.network.digest}",
                        resizer=sets.network.resizer,
                        note=note,
                    )
                )
        except UserError as error:  # Too few images for this metric; features that are not finite were refused before.
            left_out[f"{measure_name}[{sets.network.name}]"] = str(error)
    return figures, left_out


T = TypeVar("T")


def _yardstick(sets: FeatureSets, function: Callable[[Features], T]) -> T | None:
    """The metric of the training images, which is what a perfect generator would score; None without such images."""
    return None if sets.training is None else function(sets.training)


def _frechet(sets: FeatureSets) -> Measured:
    real, fake = sets.real.values, sets.fake.values
    samples, features = min(len(real), len(fake)), real.shape[1]
    has_error = features <= MAX_FEATURES_FOR_FRECHET_ERROR and samples > features
    error = frechet_standard_error(real, fake) if has_error else None
    name = FID_NAMES.get(sets.network.name)
    note = f"this is {name}" if name else "not FID"
    if samples <= features:
        note += f"; far too large, because {samples:,} images are fewer than the {features:,} features"
    estimate = Estimate(frechet_distance(real, fake), error)
    yield "frechet_distance", "lower", estimate, _yardstick(sets, lambda x: frechet_distance(real, x.values)), note


def _extrapolated(sets: FeatureSets) -> Measured:
    real, fake = sets.real.values, sets.fake.values
    has_error = real.shape[1] <= MAX_FEATURES_FOR_FRECHET_ERROR
    error = frechet_standard_error(real, fake) if has_error else None
    yardstick = _yardstick(sets, lambda x: extrapolated_frechet_distance(real, x.values))
    note = "extrapolated like FID-infinity"
    estimate = Estimate(extrapolated_frechet_distance(real, fake), error)
    yield "frechet_distance_extrapolated", "lower", estimate, yardstick, note


def _kernel(sets: FeatureSets) -> Measured:
    real, fake = sets.real.values, sets.fake.values
    yardstick = _yardstick(sets, lambda x: kernel_distance(real, x.values).value)
    yield "kernel_distance", "lower", kernel_distance(real, fake), yardstick, ""


def _precision_recall(sets: FeatureSets) -> Measured:
    result = precision_recall(sets.real.values, sets.fake.values)
    yardstick = _yardstick(sets, lambda x: precision_recall(sets.real.values, x.values))
    yield "precision", "higher", result.precision, yardstick and yardstick.precision.value, "3 neighbors"
    yield "recall", "higher", result.recall, yardstick and yardstick.recall.value, "3 neighbors"


def _density_coverage(sets: FeatureSets) -> Measured:
    result = density_coverage(sets.real.values, sets.fake.values)
    yardstick = _yardstick(sets, lambda x: density_coverage(sets.real.values, x.values))
    yield "density", "nearer", result.density, yardstick and yardstick.density.value, "5 neighbors"
    yield "coverage", "higher", result.coverage, yardstick and yardstick.coverage.value, "5 neighbors"


def _diversity(sets: FeatureSets) -> Measured:
    # Without training images, the real images are what the others should be like.
    real = mean_pairwise_distance((sets.training or sets.real).values)
    yield "mean_pairwise_distance", "nearer", mean_pairwise_distance(sets.fake.values), real.value, ""


def _score(sets: FeatureSets) -> Measured:
    fake, training = _probabilities(sets.fake), _probabilities(sets.training or sets.real)
    note = "Inception-style score, from 1 to the number of classes"
    yield "classifier_score", "higher", inception_score(fake), inception_score(training).value, note


def _classes(sets: FeatureSets) -> Measured:
    fake, training = _probabilities(sets.fake), _probabilities(sets.training or sets.real)
    classes = fake.shape[1]
    class_names = sets.network.class_names or tuple(map(str, range(classes)))
    balance, yardstick = (class_balance(np.argmax(p, 1), classes) for p in (fake, training))
    rarest = int(np.argmin(balance.shares))
    share = f"{balance.shares[rarest]:.2%}"
    note = f"nats, {np.log(classes):.3f} if even; the rarest class is {class_names[rarest]} with {share}"
    yield "class_entropy", "nearer", balance.entropy, yardstick.entropy.value, note
    missing = Estimate(float(len(balance.missing)), None)
    names = ", ".join(class_names[number] for number in balance.missing[:20])
    yield "classes_missing", "lower", missing, float(len(yardstick.missing)), f"of {classes}: {names or 'none'}"


def _modes(sets: FeatureSets) -> Measured:
    fake, training = _probabilities(sets.fake), _probabilities(sets.training or sets.real)
    total = fake.shape[1]
    modes, yardstick = (count_modes(np.argmax(p, 1), total) for p in (fake, training))
    yield "modes_found", "higher", Estimate(float(modes.found), None), float(yardstick.found), f"of {total}"
    yield "modes_kl", "lower", modes.kl, yardstick.kl.value, "nats, from the uniform distribution"


def _probabilities(features: Features) -> np.ndarray:
    assert features.probabilities is not None
    return features.probabilities


def format_table(figures: list[Figure]) -> str:
    """Formats the metrics for a terminal, one per line."""
    rows = [("metric", "generated", "real images", "better", "N real/generated")]
    for figure in figures:
        real = "" if figure.real_value is None else format_like(figure.real_value, figure.standard_error)
        counts = f"{figure.n_real:,}/{figure.n_fake:,}"
        better = DIRECTIONS[figure.better]
        rows.append((figure.name, format_value(figure.value, figure.standard_error), real, better, counts))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, 3) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def format_value(value: float, error: float | None = None) -> str:
    """Formats a value and its error, both rounded to two significant digits of the error.

    Without an error, or with an error that is 0 or infinite, the value has four significant digits.
    """
    if error is None or not 0 < error < np.inf:
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{format_like(value, error)} ± {format_like(error, error)}"


def format_like(value: float, error: float | None) -> str:
    """Formats a value with as many decimals as another value that has an error.

    So the two can be compared digit by digit, in a table for example.

    Args:
        value: The value to format.
        error: The error of the other value. If there is none, the value has four significant digits.
    """
    if error is None or not 0 < error < np.inf:
        return format_value(value)
    # The exponent of the rounded error: 0.9996 is 1.0.
    decimals = max(0, 1 - int(f"{error:.1e}".partition("e")[2]))
    return f"{value:,.{decimals}f}"
