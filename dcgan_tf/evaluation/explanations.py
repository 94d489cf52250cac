"""What each metric means, for people who read a report."""

import dataclasses
from collections.abc import Sequence

from dcgan_tf.evaluation.features import DISCRIMINATOR
from dcgan_tf.evaluation.figures import FID_NAMES, Figure, format_like, format_value

# Name of a metric without its network -> its title and its meaning.
EXPLANATIONS = {
    "frechet_distance": ("Frechet distance", "Between Gaussians fitted to the features of generated and real images"),
    "frechet_distance_extrapolated": ("Frechet distance, extrapolated", "What infinitely many images would score"),
    "kernel_distance": ("Kernel distance", "Maximum mean discrepancy of the features, with a cubic kernel"),
    "precision": ("Precision", "Share of generated images that lie among real ones: fidelity"),
    "recall": ("Recall", "Share of real images that lie among generated ones: variety"),
    "density": ("Density", "How densely real images surround the generated ones"),
    "coverage": ("Coverage", "Share of real images with a generated image among their neighbors"),
    "mean_pairwise_distance": (
        "Mean distance",
        "Between two generated images; far below the real value means mode collapse",
    ),
    "classifier_score": ("Classifier score", "High if single images are clear and all classes occur"),
    "class_entropy": ("Entropy of the classes", "How evenly the classes occur"),
    "classes_missing": ("Missing classes", "Classes without any generated image"),
    "modes_found": ("Modes found", "Modes of the data that occur among the generated images"),
    "modes_kl": ("KL divergence of the modes", "How unevenly the modes occur"),
    "memorization_ratio": ("Memorization ratio", "Well below 1 means that training images were copied"),
}
ARROWS = {"lower": "↓", "higher": "↑", "nearer": "→"}
# The metrics that open a report: the first of each row that was measured.
HEADLINES = (("frechet_distance", "kernel_distance"), ("precision", "density"), ("recall", "coverage", "modes_found"))
SHARES = ("precision", "recall", "coverage")


@dataclasses.dataclass(frozen=True)
class Headline:
    """A metric at the top of a report: its title, its value and error, and a sentence on what it means."""

    title: str
    value: str
    error: str
    meaning: str


def explain(figure: Figure) -> tuple[str, str]:
    """Title and meaning of a metric. A metric without an explanation has its name as its title."""
    name = figure.name.split("[")[0]
    return EXPLANATIONS.get(name, (name.replace("_", " ").capitalize(), ""))


def choose_headlines(figures: Sequence[Figure]) -> list[Headline]:
    """At most three metrics, from the most informative features: a distance, fidelity and variety."""
    networks = list(dict.fromkeys(network_of(figure) for figure in figures))
    for network in sorted(networks, key=_rank):
        named = {figure.name.split("[")[0]: figure for figure in figures if network_of(figure) == network}
        chosen = [next((named[name] for name in names if name in named), None) for names in HEADLINES]
        if any(chosen):
            return [_headline(figure) for figure in chosen if figure is not None]
    return []


def network_of(figure: Figure) -> str:
    """Name of the network whose features a metric compares."""
    return figure.name.partition("[")[2].removesuffix("]")


def _rank(network: str) -> int:
    """Trained networks tell more than random ones, and a run's own discriminator tells least."""
    return {**dict.fromkeys(FID_NAMES, 0), "random-convolutions": 2, DISCRIMINATOR: 3}.get(network, 1)


def _headline(figure: Figure) -> Headline:
    name, network = figure.name.split("[")[0], network_of(figure)
    title, meaning = explain(figure)
    scale, unit = (100, "%") if name in SHARES else (1, "")
    error = None if figure.standard_error is None else scale * figure.standard_error
    value, _, spread = format_value(scale * figure.value, error).partition(" ± ")
    if name == "frechet_distance":
        title = FID_NAMES.get(network, f"{title}, {network}")
        meaning = "Distance from the real images; 0 is perfect" + (
            "" if network in FID_NAMES else ", and this is not FID"
        )
    real = "" if figure.real_value is None else f" Real images: {format_like(scale * figure.real_value, error)}{unit}."
    return Headline(title, value + unit, f"± {spread}{unit}" if spread else "", f"{meaning}.{real}")
