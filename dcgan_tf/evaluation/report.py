"""The files of an evaluation: evaluation.json and report.html, a self-contained page without scripts."""

import dataclasses
import io
import pathlib
from collections.abc import Sequence

import numpy as np

from dcgan_tf import files
from dcgan_tf.drawing import page
from dcgan_tf.drawing.grids import make_grid, to_picture
from dcgan_tf.evaluation.evaluator import Evaluation
from dcgan_tf.evaluation.figures import DIRECTIONS, format_value
from dcgan_tf.evaluation.per_class import cells
from dcgan_tf.evaluation.published import compare_with_published
from dcgan_tf.runs.pictures import sample_grids, save_curves, step_of
from dcgan_tf.runs.run_directory import Run

JSON_FILE = "evaluation.json"
REPORT_FILE = "report.html"
GRIDS_SHOWN = 6


def write_json(evaluation: Evaluation, run: Run) -> pathlib.Path:
    """Writes evaluation.json into the run's folder, whole or not at all."""
    return files.write_json(run.directory / JSON_FILE, evaluation.as_json())


def write_report(evaluation: Evaluation, run: Run) -> pathlib.Path:
    """Writes report.html into the run's folder, whole or not at all."""
    save_curves(run)
    title = f"{run.directory.resolve().name}, step {evaluation.facts['checkpoint_step']:,}"
    sections = [
        _figures(evaluation),
        _classes(evaluation),
        _published(evaluation, run),
        _uses(evaluation),
        _grids(run),
        _neighbors(evaluation),
        _curves(run),
        page.table("Protocol", ("Fact", "Value"), evaluation.facts.items()),
        page.table("Feature networks", ("Name", "Digest", "Resizer", "Description"), (
            (n.name, n.digest, n.resizer, n.description) for n in evaluation.networks
        )),
        page.table("Configuration", ("Setting", "Value"), dataclasses.asdict(run.config).items()),
    ]  # fmt: skip
    return files.write_text(run.directory / REPORT_FILE, page.page(title, sections))


def _figures(evaluation: Evaluation) -> str:
    rows = [
        (
            figure.name,
            format_value(figure.value, figure.standard_error),
            None if figure.real_value is None else format_value(figure.real_value),
            f"{DIRECTIONS[figure.better]} is better",
            f"{figure.n_real:,} / {figure.n_fake:,}",
            figure.note,
        )
        for figure in evaluation.figures
    ]
    heads = ("Metric", "Generated images", "Training images", "Direction", "N real / generated", "Note")
    left_out = "".join(f"<li>{page.text(name)}: {page.text(why)}</li>" for name, why in evaluation.left_out.items())
    note = (
        "The network that computed the features is given in brackets. Images are compared with the split "
        f"{evaluation.facts['real_split']}. The column “Training images” is the score of the same number of real "
        "training images instead of generated ones. ± is one standard error, for a new draw of all images."
    )
    return page.table("Metrics", heads, rows, note) + (f"<p>Left out:</p><ul>{left_out}</ul>" if left_out else "")


def _classes(evaluation: Evaluation) -> str:
    table = evaluation.classes
    if table is None:
        return ""
    heads = ("Class", "Frechet distance", "Of training images", "Precision", "Recall", "N real / generated")
    rows = [(row.name, *cells(row), f"{row.n_real:,} / {row.n_fake:,}") for row in table.rows]
    worst = f" The worst class is {table.worst}: {table.worst_because}." if table.worst else ""
    return page.table("By class", heads, rows, f"Features of {table.network}, {table.labels}.{worst}")


def _published(evaluation: Evaluation, run: Run) -> str:
    comparisons = compare_with_published(evaluation.figures, run.config)
    if not comparisons:
        return '<h2>Comparison with published results</h2><p class="note">None are known for this data set.</p>'
    rows = [
        (
            c.published.measure,
            c.published.method,
            format_value(c.published.value),
            f"{format_value(c.figure.value)} ({c.figure.name})",
            f"{'comparable' if c.is_comparable else 'not comparable'}: {c.reason}",
            c.published.protocol,
        )
        for c in comparisons
    ]
    heads = ("Metric", "Method", "Published value", "This run", "Comparable?", "Published protocol")
    return page.table("Comparison with published results", heads, rows)


def _uses(evaluation: Evaluation) -> str:
    probes: list[Sequence[str]] = [
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
    synthetic: list[Sequence[str]] = [
        (
            result.classifier,
            result.trained_on,
            f"{result.accuracy:.2%}",
            "" if result.standard_error is None else f"± {result.standard_error:.2%}",
        )
        for result in evaluation.synthetic
    ]
    text = ""
    heads: Sequence[str]
    if probes:
        heads = ("Features", "Labels", "Test accuracy", "Interval", "Length", "C")
        note = (
            "Published: 82.8% on CIFAR-10 (Radford et al. 2015, arXiv 1511.06434). This is not comparable: that "
            "discriminator was trained on ImageNet and had 28,672 features, and this one was trained on the data set "
            "itself."
        )
        text += page.table("Linear probe (L2-SVM on all convolutional layers, max-pooled to 4x4)", heads, probes, note)
    if synthetic:
        heads = ("Classifier", "Trained on", "Accuracy on real test images", "Standard error")
        text += page.table("Classifiers trained on generated images", heads, synthetic)
    return text


def _grids(run: Run) -> str:
    grids = sample_grids(run)
    if not grids:
        return ""
    chosen = [grids[i] for i in sorted({round(i) for i in np.linspace(0, len(grids) - 1, GRIDS_SHOWN)})]
    pictures = (page.picture(grid.read_bytes(), f"step {step_of(grid):,}", width=330) for grid in chosen)
    return f"<h2>Fixed latents during training</h2><div>{''.join(pictures)}</div>"


def _neighbors(evaluation: Evaluation) -> str:
    pictures = (
        page.picture(_png(make_grid(each.images, each.columns)), f"{each.title}.", width=330)
        for each in evaluation.pictures
    )
    note = "Each row: the image, then its nearest training images (Euclidean pixel distance)."
    return f'<h2>Nearest training images</h2><p class="note">{note}</p><div>{"".join(pictures)}</div>'


def _curves(run: Run) -> str:
    path = run.directory / "curves.png"
    return f"<h2>Curves</h2>{page.picture(path.read_bytes(), 'From metrics.jsonl.')}" if path.is_file() else ""


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format="PNG")
    return buffer.getvalue()
