"""Plots of a training: losses, probabilities, gradient norms and evaluations by step."""

import pathlib
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from dcgan_tf import files


def draw_curves(records: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
    """Plots the scalars of a training by step.

    Args:
        records: At least one record, each with its ``step``.
        path: Path of the PNG file.
    """
    panels = {
        "Loss": ["loss/discriminator", "loss/discriminator_real", "loss/discriminator_fake", "loss/generator"],
        "D's probability of real": ["prob/real", "prob/fake"],
        "Gradient norm": ["gradient_norm/discriminator", "gradient_norm/generator"],
    }
    measures = sorted({name for record in records for name in record if name.startswith("metric/")})
    panels |= {"Evaluation": measures} if measures else {}
    figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name in names:
            points = [(record["step"], record[name]) for record in records if name in record]
            axes.plot(*zip(*points, strict=True), label=name.split("/")[1], linewidth=1)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
