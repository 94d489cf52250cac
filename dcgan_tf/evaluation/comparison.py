"""Comparison of evaluated runs. Runs that differ only in their seed form a group."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from dcgan_tf import files
from dcgan_tf.config.settings import Config
from dcgan_tf.data.tree import SOFTWARE
from dcgan_tf.drawing import page
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.figures import format_value
from dcgan_tf.evaluation.report import JSON_FILE
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.records import read_metrics

PANELS_A_ROW = 3


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

    def values(self, name: str) -> list[float]:
        """The values of the metric of that name, for each run that has it."""
        figures = (run.figure(name) for run in self.runs)
        return [figure["value"] for figure in figures if figure is not None]


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
    """Draws one panel per metric, with one dot per run and a line at the mean of each group."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    names = _figure_names(groups)
    rows = -(-len(names) // PANELS_A_ROW)
    drawing = Figure(figsize=(4.2 * PANELS_A_ROW, 2.8 * rows + 0.3 * len(groups)), layout="constrained")
    panels = drawing.subplots(rows, PANELS_A_ROW, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        for number, group in enumerate(groups):
            values = group.values(name)
            if values:
                axes.plot([number] * len(values), values, "o", color=f"C{number % 10}")
                axes.hlines(np.mean(values), number - 0.25, number + 0.25, color=f"C{number % 10}")
        axes.set_title(name, fontsize=9)
        axes.set(xlim=(-0.6, len(groups) - 0.4), xticks=[])
        axes.grid(alpha=0.3)
    for axes in panels[len(names) :]:
        axes.axis("off")
    handles = [Line2D([], [], marker="o", color=f"C{n % 10}", label=group.label) for n, group in enumerate(groups)]
    drawing.legend(handles=handles, loc="outside lower center", fontsize=8)
    with files.replacing(path) as temporary:
        drawing.savefig(temporary, format="png", dpi=110, metadata={"Software": SOFTWARE})
    return path


def write_page(groups: list[Group], figure: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Writes the table and the figure as a self-contained page."""
    cells = [_cells(group) for group in groups]
    names = list(dict.fromkeys(name for column in cells for name in column))
    rows = [(name, *(column.get(name) for column in cells)) for name in names]
    note = "Groups with several seeds: mean ± standard deviation over the seeds (number of runs)."
    members = [(group.label, ", ".join(run.name for run in group.runs)) for group in groups]
    sections = [
        page.table("Metrics", ("", *(group.label for group in groups)), rows, note),
        f"<h2>One dot per run, one line per mean</h2>{page.picture(figure.read_bytes(), 'Metrics by group')}",
        page.table("Runs", ("Group", "Runs"), members),
    ]
    return files.write_text(path, page.page("Comparison of runs", sections))


def _cells(group: Group) -> dict[str, str]:
    cells = {name: _spread(group.values(name)) for name in _figure_names([group])}
    cells["checkpoint"] = _spread([run.evaluation["checkpoint_step"] for run in group.runs])
    cells["images seen"] = _spread([run.evaluation["images_seen"] for run in group.runs])
    seconds = [run.seconds for run in group.runs if run.seconds is not None]
    if seconds:
        cells["seconds in train steps"] = _spread(seconds)
    return cells


def _spread(values: list[float]) -> str:
    if len(values) == 1:
        return format_value(values[0])
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
