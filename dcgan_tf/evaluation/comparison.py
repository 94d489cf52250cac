"""Comparison of evaluated runs. Runs that differ only in their seed form a group."""

import dataclasses
import json
import pathlib
import textwrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dcgan_tf import files
from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.page import Picture, Table, render
from dcgan_tf.drawing.style import COLORS, GRAY, to_png
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.figures import format_value
from dcgan_tf.evaluation.report import JSON_FILE
from dcgan_tf.evaluation.splits import dataset_name
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.records import read_metrics

PANELS_A_ROW = 3
MARKERS = "osD^vP"
LABEL_WIDTH = 24  # Characters per line
SPREAD = (
    "One run: ± is the standard error of the metric. Several seeds: mean ± standard deviation over the seeds, and the "
    "number of runs."
)
LEGEND = (
    "One dot per run, with its standard error. Several seeds: a bar at their mean. The dashed line is the score of "
    "real training images."
)


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """A run and its evaluation.json.

    Attributes:
        name: Name of its folder.
        config: Its settings.
        evaluation: The contents of the file.
        seconds: Time spent in train steps, from the logged speeds; None if none was logged.
    """

    name: str
    config: Config
    evaluation: dict[str, Any]
    seconds: float | None

    def figure(self, name: str) -> dict[str, Any] | None:
        """The metric of that name, or None if it was left out."""
        return next((figure for figure in self.evaluation["figures"] if figure["name"] == name), None)


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs with the same settings except for the seed. ``label`` is how they differ from the other groups."""

    label: str
    runs: list[EvaluatedRun]

    def values(self, name: str, which: str = "value") -> list[float]:
        """The known values of a metric; with another ``which``, its ``standard_error`` or ``real_value``."""
        figures = (run.figure(name) or {} for run in self.runs)
        return [figure[which] for figure in figures if figure.get(which) is not None]


def read_run(run_dir: str) -> EvaluatedRun:
    """Reads a run's settings, evaluation and speed.

    Raises:
        UserError: There is no such run, or it was not evaluated.
    """
    run = run_directory.load_run(run_dir)
    path = run.directory / JSON_FILE
    if not path.is_file():
        raise UserError(
            f"'{run_dir}' has no {JSON_FILE}. To make it, run: python -m dcgan_tf evaluate --run_dir={run_dir}"
        )
    try:
        evaluation = files.read_json(path)
        _require(evaluation, {"checkpoint_step": int, "images_seen": int, "figures": list})
        for figure in evaluation["figures"]:
            _require(figure, {"name": str, "value": float, "n_real": int, "n_fake": int, "split": str, "network": str})
    except ValueError as error:
        raise UserError(
            f"'{path}' is damaged ({error}). To make it again, run: python -m dcgan_tf evaluate --run_dir={run_dir}"
        ) from None
    return EvaluatedRun(run.directory.resolve().name, run.config, evaluation, _train_seconds(run.metrics_file))


def _require(content: Any, types: dict[str, type]) -> None:
    """Raises ValueError unless a dictionary has values of these types."""
    if not isinstance(content, dict):
        raise ValueError(f"expected names with values, not {str(content)[:50]!r}")
    for name, kind in types.items():
        value = content.get(name)
        # JSON does not distinguish whole numbers from other numbers, and Python counts bool as a number.
        if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool):
            raise ValueError(f"'{name}' is {str(value)[:50]!r}")


def group_runs(evaluated: list[EvaluatedRun]) -> list[Group]:
    """Groups runs that differ only in their seed, in the given order.

    Raises:
        UserError: A metric was measured in different ways, so its values are not comparable.
    """
    _refuse_mixed_protocols(evaluated)
    groups: dict[str, list[EvaluatedRun]] = {}
    for run in evaluated:
        groups.setdefault(json.dumps(_settings(run.config)), []).append(run)
    settings = [_settings(members[0].config) for members in groups.values()]
    differing = [name for name in settings[0] if len({json.dumps(each[name]) for each in settings}) > 1]
    # Settings that follow from the data add nothing to the name of the data set.
    chosen = [name for name in differing if Config.__dataclass_fields__[name].metadata["flag"]] or differing
    return [
        Group(", ".join(f"{name}={each[name]}" for name in chosen) or "all runs", members)
        for each, members in zip(settings, groups.values(), strict=True)
    ]


def format_groups(groups: list[Group]) -> str:
    """Formats the groups for a terminal: one block per group, one line per metric."""
    lines = []
    for group in groups:
        lines.append(f"{group.label}: {', '.join(run.name for run in group.runs)}")
        cells = _cells(group)
        width = max(map(len, cells))
        lines += [f"  {name:{width}}  {cell}" for name, cell in cells.items()]
    return "\n".join(lines)


def write_figure(groups: list[Group], path: pathlib.Path) -> pathlib.Path:
    """Draws one panel per metric as a PNG file."""
    return files.write_bytes(path, to_png(_draw(groups, _figure_names(groups), PANELS_A_ROW)))


def write_page(groups: list[Group], path: pathlib.Path) -> pathlib.Path:
    """Writes the table and the panels as a self-contained page."""
    cells = [_cells(group) for group in groups]
    names = list(dict.fromkeys(name for column in cells for name in column))
    rows = [(name, *(column.get(name, "") for column in cells)) for name in names]
    heads = ("Metric", *(group.label for group in groups))
    members = [(group.label, ", ".join(run.name for run in group.runs)) for group in groups]
    runs = [run for group in groups for run in group.runs]
    page = render(
        "comparison.html",
        "Comparison of runs" if len(runs) > 1 else runs[0].name,
        summary=[("Data", ", ".join(sorted({dataset_name(run.config) for run in runs}))), ("Runs", f"{len(runs):,}")],
        metrics=Table("Metrics", heads, rows, SPREAD, range(1, len(heads))),
        legend=LEGEND,
        pictures=[Picture(to_png(_draw(groups, [name], 1)), name) for name in _figure_names(groups)],
        runs=Table("Runs", ("Group", "Runs"), members),
    )
    return files.write_text(path, page)


def _draw(groups: list[Group], names: list[str], columns: int) -> Figure:
    """Panels with one row per group, a dot per run, a bar at the mean of each group, and a line at real images."""
    rows = -(-len(names) // columns)
    drawing = Figure(figsize=(4.2 * columns, (1.2 + 0.35 * len(groups)) * rows), layout="constrained")
    panels = drawing.subplots(rows, columns, squeeze=False)
    for axes, name in zip(panels.ravel(), names, strict=False):
        real = [value for group in groups for value in group.values(name, "real_value")]
        if real:
            axes.axvline(np.mean(real), color=GRAY, linewidth=1.2, linestyle="--", label="real images")
        for number, group in enumerate(groups):
            color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
            for run in group.runs:
                figure = run.figure(name)
                if figure is not None:
                    error = figure.get("standard_error") or 0
                    axes.errorbar(figure["value"], number, xerr=error, fmt=marker, color=color, markersize=6, alpha=0.8)
            if len(group.values(name)) > 1:
                axes.plot(np.mean(group.values(name)), number, "|", color=color, markersize=22, markeredgewidth=2)
        axes.set_title(name, fontsize=9, fontweight="bold", loc="left")
        # The first group is on top.
        axes.set(ylim=(len(groups) - 0.4, -0.6), yticks=range(len(groups)), yticklabels=_short_labels(groups))
        axes.margins(x=0.15)
        axes.locator_params(axis="x", nbins=5)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25, axis="x")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels.ravel()[len(names) :]:
        axes.axis("off")
    return drawing


def _short_labels(groups: list[Group]) -> list[str]:
    """The labels of the rows of a panel: those of the groups, or the name of the run if there is only one run."""
    alone = len(groups) == 1 and len(groups[0].runs) == 1
    labels = [groups[0].runs[0].name] if alone else [group.label for group in groups]
    return ["\n".join(textwrap.wrap(label, LABEL_WIDTH, max_lines=2, placeholder=" ...")) for label in labels]


def _cells(group: Group) -> dict[str, str]:
    cells = {name: _spread(group.values(name), group.values(name, "standard_error")) for name in _figure_names([group])}
    cells["checkpoint"] = _spread([run.evaluation["checkpoint_step"] for run in group.runs])
    cells["images seen"] = _spread([run.evaluation["images_seen"] for run in group.runs])
    seconds = [run.seconds for run in group.runs if run.seconds is not None]
    if seconds:
        cells["seconds in train steps"] = _spread(seconds)
    return cells


def _spread(values: list[float], errors: list[float] | None = None) -> str:
    """A single value with its standard error, or the mean with the standard deviation and the number of values."""
    if len(values) == 1:
        return format_value(values[0], errors[0] if errors else None)
    deviation = float(np.std(values, ddof=1))
    mean = format_value(float(np.mean(values)), deviation) if deviation else f"{format_value(values[0])} ± 0"
    return f"{mean} ({len(values)})"


def _figure_names(groups: list[Group]) -> list[str]:
    return list(
        dict.fromkeys(figure["name"] for group in groups for run in group.runs for figure in run.evaluation["figures"])
    )


def _settings(config: Config) -> dict[str, Any]:
    """The settings that distinguish runs: all that can change the training, and its length, but not the seed."""
    changing = [field.name for field in dataclasses.fields(config) if not field.metadata["may_change"]]
    values = dataclasses.asdict(config)
    return {name: values[name] for name in [*changing, "steps"] if name not in ("seed", "preset")}


def _refuse_mixed_protocols(evaluated: list[EvaluatedRun]) -> None:
    protocols: dict[str, tuple[str, str]] = {}
    for run in evaluated:
        for figure in run.evaluation["figures"]:
            network = "" if "[discriminator]" in figure["name"] else figure["network"]
            protocol = (
                f"protocol {run.evaluation.get('protocol', 1)}, {figure['n_fake']:,} generated and "
                f"{figure['n_real']:,} real images of {figure['split']} {network}".strip()
            )
            first_run, first = protocols.setdefault(figure["name"], (run.name, protocol))
            if first != protocol and run.config.dataset == evaluated[0].config.dataset:
                raise UserError(
                    f"{figure['name']} cannot be compared: {first_run} was measured with {first}, but {run.name} with "
                    f"{protocol}. Evaluate both in the same way"
                )


def _train_seconds(metrics_file: pathlib.Path) -> float | None:
    records = [record for record in read_metrics(metrics_file) if record.get("perf/steps_per_sec")]
    if not records:
        return None
    steps = np.diff([0, *(record["step"] for record in records)])
    return float(np.sum(steps / np.array([record["perf/steps_per_sec"] for record in records])))
