"""Plots of a training run by step: losses, probabilities, gradient norms and evaluations."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from dcgan_tf import files
from dcgan_tf.drawing.style import COLORS, GRAY, GREEN, to_png

SMOOTHED_SHARE = 0.05  # A smoothed point is the mean of this share of the records.


@dataclasses.dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        title: Its title.
        unit: What the vertical axis counts.
        lines: Legend -> points float64 [N, 2], each a step and a value.
        level: A value for comparison, drawn as a dashed line, and its legend; or None.
        is_sparse: Whether each point is drawn as a dot, without smoothing.
    """

    title: str
    unit: str
    lines: dict[str, np.ndarray]
    level: tuple[float, str] | None = None
    is_sparse: bool = False


@dataclasses.dataclass(frozen=True)
class Curves:
    """The plots of a training run.

    Attributes:
        panels: The plots.
        batch_size: Number of images per step.
        best: The step with the best evaluation, which is marked; or None.
    """

    panels: list[Panel]
    batch_size: int
    best: int | None

    def save(self, path: pathlib.Path) -> None:
        """Writes all plots as one PNG file, in two columns."""
        files.write_bytes(path, to_png(self._draw(self.panels, 2)))

    def pictures(self) -> list[tuple[str, bytes]]:
        """Title and PNG file of each plot."""
        return [(panel.title, to_png(self._draw([panel], 1))) for panel in self.panels]

    def _draw(self, panels: list[Panel], columns: int) -> Figure:
        rows = math.ceil(len(panels) / columns)
        figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
        for axes, panel in zip(figure.subplots(rows, columns, squeeze=False).ravel(), panels, strict=True):
            self._draw_panel(axes, panel)
        return figure

    def _draw_panel(self, axes: Axes, panel: Panel) -> None:
        for (label, points), color in zip(panel.lines.items(), COLORS, strict=False):
            if panel.is_sparse:
                axes.plot(*points.T, color=color, linewidth=1.8, marker="o", markersize=3.5, label=label)
                continue
            axes.plot(*points.T, color=color, linewidth=0.8, alpha=0.3)
            axes.plot(points[:, 0], smooth(points[:, 1]), color=color, linewidth=1.8, label=label)
        if panel.level:
            axes.axhline(panel.level[0], color=GRAY, linewidth=1.2, linestyle="--", label=panel.level[1])
        if self.best is not None:
            axes.axvline(
                self.best,
                color=GREEN,
                linewidth=1.2,
                linestyle=":",
                label=f"best: step {self.best:,}" if panel.is_sparse else None,
            )
            at_best = [row for points in panel.lines.values() for row in points[points[:, 0] == self.best]]
            if panel.is_sparse and at_best:
                axes.plot(*at_best[0], color=GREEN, marker="*", markersize=13, markeredgecolor="white")
        axes.set_title(panel.title, fontsize=11, fontweight="bold", loc="left", pad=20)
        axes.set_xlabel(f"step ({self.batch_size:,} images each)", fontsize=9)
        axes.set_ylabel(panel.unit, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlim(left=0)
        axes.tick_params(labelsize=9)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            # Above the plot, where it hides no line.
            legend = axes.legend(
                loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False, borderaxespad=0.1,
                borderpad=0.2, handlelength=1.3, handletextpad=0.4, columnspacing=1,
            )  # fmt: skip
            legend.set_in_layout(False)


def make_curves(
    records: Sequence[dict[str, Any]],
    *,
    batch_size: int,
    loss_unit: str,
    chance_loss: float | None,
    best: int | None,
) -> Curves:
    """Arranges the scalars of a training run in four plots.

    Args:
        records: The scalars by name, each with its ``step``. Values that are not finite are left out.
        batch_size: Number of images per step.
        loss_unit: Unit of the losses.
        chance_loss: Loss of a discriminator that cannot tell real from fake; None if it has no such level.
        best: The step with the best evaluation, or None.
    """
    chance = None if chance_loss is None else (chance_loss, f"D guesses: {chance_loss:.3g}")
    networks = {"discriminator D": "discriminator", "generator G": "generator"}
    panels = [
        Panel("Loss", loss_unit, {label: _points(records, f"loss/{name}") for label, name in networks.items()}, chance),
        Panel(
            "D's probability of being real",
            "mean probability",
            {label: _points(records, f"prob/{name}") for label, name in (("real", "real"), ("generated", "fake"))},
            (0.5, "D guesses: 0.5"),
        ),
        Panel(
            "Gradient norm",
            "Euclidean norm",
            {label: _points(records, f"gradient_norm/{name}") for label, name in networks.items()},
        ),
    ]
    measures = sorted({name for record in records for name in record if name.startswith("metric/")})
    if measures:
        lines = {_title(name): _points(records, name) for name in measures}
        panels.append(Panel("Evaluation during training", "distance, lower is better", lines, is_sparse=True))
    else:
        lines = {"samples": _points(records, "diagnosis/diversity")}
        panels.append(Panel("Variety of the samples", "share of real variety", lines, (1.0, "real data: 1")))
    return Curves(panels, batch_size, best)


def smooth(values: np.ndarray) -> np.ndarray:
    """The mean of each value and its neighbors, of which there are fewer at both ends: float64 [N] -> [N]."""
    reach = round(SMOOTHED_SHARE * len(values) / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - reach, 0)
    last = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _points(records: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    points = [(record["step"], record[name]) for record in records if math.isfinite(record.get(name, math.nan))]
    return np.array(points, np.float64).reshape(-1, 2)


def _title(measure: str) -> str:
    """``metric/frechet_distance[features]`` as words."""
    name, _, features = measure.removeprefix("metric/").partition("[")
    return name.replace("_", " ").capitalize() + (f" [{features}" if features else "")
