"""The files of an evaluation: evaluation.json and report.html, a self-contained page without scripts."""

import dataclasses
import datetime
import pathlib
from typing import Any

import numpy as np

from dcgan_tf import files
from dcgan_tf.config.settings import changed_settings
from dcgan_tf.drawing.grids import make_grid, to_png
from dcgan_tf.drawing.page import Picture, Table, render
from dcgan_tf.evaluation.evaluator import Evaluation
from dcgan_tf.evaluation.explanations import ARROWS, choose_headlines, explain, network_of
from dcgan_tf.evaluation.figures import DIRECTIONS, format_like, format_value
from dcgan_tf.evaluation.memorization import NeighborPicture
from dcgan_tf.evaluation.per_class import cells
from dcgan_tf.evaluation.published import compare_with_published
from dcgan_tf.runs.pictures import read_curves, sample_grids, save_curves, step_of
from dcgan_tf.runs.run_directory import Run

JSON_FILE = "evaluation.json"
REPORT_FILE = "report.html"
GRIDS_SHOWN = 6
GAP = 10  # Pixels


def write_json(evaluation: Evaluation, run: Run) -> pathlib.Path:
    """Writes evaluation.json into the run's folder, whole or not at all."""
    return files.write_json(run.directory / JSON_FILE, evaluation.as_json())


def write_report(evaluation: Evaluation, run: Run) -> pathlib.Path:
    """Writes report.html into the run's folder, whole or not at all."""
    assert evaluation.generated is not None  # The images of a run are always there.
    assert evaluation.real is not None
    save_curves(run)
    curves = read_curves(run)
    facts = [
        (name.replace("_", " "), f"{fact:,}" if isinstance(fact, int) else fact)
        for name, fact in evaluation.facts.items()
    ]
    networks = [(n.name, n.digest, n.resizer, n.description) for n in evaluation.networks]
    page = render(
        "report.html",
        run.directory.resolve().name,
        summary=_summary(evaluation, run),
        headlines=choose_headlines(evaluation.figures),
        generated=_grid(evaluation.generated, "Generated images"),
        real=_grid(evaluation.real, f"Real images ({evaluation.facts['real_split']})"),
        groups=_groups(evaluation),
        left_out=list(evaluation.left_out.items()),
        results=[*_classes(evaluation), *_probes(evaluation), *_synthetic(evaluation), *_published(evaluation, run)],
        neighbors=[Picture(to_png(_apart(each)), f"{each.title}.") for each in evaluation.pictures],
        curves=[Picture(png, title) for title, png in curves.pictures()] if curves else [],
        grids=[Picture(grid.read_bytes(), f"step {step_of(grid):,}") for grid in _spread_grids(run)],
        details=[
            Table("Protocol", ("Fact", "Value"), facts),
            Table("Feature networks", ("Name", "Digest", "Resizer", "Description"), networks),
        ],
        changed=changed_settings(run.config),
        settings=list(dataclasses.asdict(run.config).items()),
    )
    return files.write_text(run.directory / REPORT_FILE, page)


def _summary(evaluation: Evaluation, run: Run) -> list[tuple[str, str]]:
    facts = evaluation.facts
    step = f"step {facts['checkpoint_step']:,} of {run.config.steps:,}"
    best = ", the best by the evaluations during training" if facts["checkpoint"] == "best" else ""
    time = datetime.datetime.fromisoformat(str(facts["time"]))
    return [
        ("Data", str(facts["data"]).rpartition(", digest")[0]),
        ("Checkpoint", step + best),
        ("Evaluated", f"{time:%B} {time.day}, {time:%Y, %H:%M} UTC"),
    ]


def _grid(images: np.ndarray, caption: str) -> Picture:
    return Picture(to_png(make_grid(images)), caption)


def _apart(neighbors: NeighborPicture) -> np.ndarray:
    """A grid whose first column, the images themselves, is set apart from their neighbors."""
    rows = neighbors.images.reshape(-1, neighbors.columns, *neighbors.images.shape[1:])
    first, others = make_grid(rows[:, 0], 1), make_grid(np.concatenate(rows[:, 1:]), neighbors.columns - 1)
    gap = np.full((len(first), GAP, first.shape[2]), 255, np.uint8)
    return np.concatenate([first, gap, others], axis=1)


def _groups(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The metrics by network, as rows of the report's table."""
    described = {
        network.name: f"{network.description[:1].upper()}{network.description[1:]}." for network in evaluation.networks
    }
    groups: dict[tuple[str, int, int, str], list[dict[str, str]]] = {}
    for figure in evaluation.figures:
        title, meaning = explain(figure)
        real = "" if figure.real_value is None else format_like(figure.real_value, figure.standard_error)
        value, separator, error = format_value(figure.value, figure.standard_error).partition("± ")
        row = {
            "title": title,
            "meaning": " · ".join(text for text in (meaning, figure.note) if text),
            "arrow": ARROWS[figure.better],
            "better": f"{DIRECTIONS[figure.better]} is better",
            "value": value,
            "error": separator + error,
            "real": real,
        }
        groups.setdefault((network_of(figure), figure.n_fake, figure.n_real, figure.split), []).append(row)
    return [
        {
            "title": f"By {network}",
            "description": f"{described.get(network, '')} {n_fake:,} generated images, compared with {n_real:,} "
            f"real ones of the split {split}.",
            "rows": rows,
        }
        for (network, n_fake, n_real, split), rows in groups.items()
    ]


def _classes(evaluation: Evaluation) -> list[Table]:
    table = evaluation.classes
    if table is None:
        return []
    heads = ("Class", "Frechet distance", "Real images", "Precision", "Recall", "N real / generated")
    rows = [(row.name, *cells(row), f"{row.n_real:,} / {row.n_fake:,}") for row in table.rows]
    worst = f" The worst class is {table.worst}: {table.worst_because}." if table.worst else ""
    return [
        Table(
            "By class", heads, rows, f"Features of {table.network}. The classes are {table.labels}.{worst}", range(1, 6)
        )
    ]


def _published(evaluation: Evaluation, run: Run) -> list[Table]:
    comparisons = compare_with_published(evaluation.figures, run.config)
    if not comparisons:
        return []
    rows = [
        (
            f"{explain(c.figure)[0]}, {c.published.method}",
            format_value(c.published.value),
            format_like(c.figure.value, c.figure.standard_error),
            f"{'comparable' if c.is_comparable else 'not comparable'}: {c.reason}",
            c.published.protocol,
        )
        for c in comparisons
    ]
    heads = ("Metric and method", "Published", "This run", "Comparable?", "Published protocol")
    return [Table("Published results on the same data", heads, rows, numbers=(1, 2))]


def _probes(evaluation: Evaluation) -> list[Table]:
    if not evaluation.probes:
        return []
    rows = [
        (
            result.features,
            f"{result.labels_per_class:,} per class" if result.labels_per_class else f"all {result.n_train:,}",
            f"{result.accuracy:.2%}",
            "" if result.interval is None else f"± {result.interval:.2%} (95%, {result.draws} draws)",
            f"{result.length:,}",
            f"{result.penalty:g}",
        )
        for result in evaluation.probes
    ]
    heads = ("Features", "Labels", "Test accuracy", "Interval", "Length", "C")
    note = (
        "A linear SVM on the features of all convolutional layers, max-pooled to 4x4. Published: 82.8% on CIFAR-10 "
        "(Radford et al. 2015, arXiv 1511.06434). This is not comparable: that discriminator was trained on ImageNet "
        "and had 28,672 features, and this one was trained on the data set itself."
    )
    return [Table("Linear probe of the discriminator", heads, rows, note, numbers=(2, 4, 5))]


def _synthetic(evaluation: Evaluation) -> list[Table]:
    if not evaluation.synthetic:
        return []
    rows = [
        (
            f"{result.classifier}, trained on {result.trained_on}",
            f"{result.accuracy:.2%}",
            "" if result.standard_error is None else f"± {result.standard_error:.2%}",
        )
        for result in evaluation.synthetic
    ]
    heads = ("Classifier", "Accuracy on real test images", "Standard error")
    return [Table("Classifiers trained on generated images", heads, rows, numbers=(1, 2))]


def _spread_grids(run: Run) -> list[pathlib.Path]:
    grids = sample_grids(run)
    return [grids[i] for i in sorted({round(i) for i in np.linspace(0, len(grids) - 1, GRIDS_SHOWN)})] if grids else []
