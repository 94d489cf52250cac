"""What is written while training: TensorBoard, metrics.jsonl, grids; and from them the curves and the GIF."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.plugins.hparams import api as hparams

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.grids import save_gif, save_png
from dcgan_tf.generation.sampling import draw_samples
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.training.gan import GAN

# TensorBoard would show ten pictures of a training, drawn at random; with 0, which should mean all, it shows none.
TENSORBOARD_FLAGS = "--samples_per_plugin images=1000"
GIF_FRAMES = 40
GIF_FRAME_MILLISECONDS = 150
GRID_NAME = re.compile(r"step-[0-9]+\.png")


@contextlib.contextmanager
def decoration(name: str) -> Iterator[None]:
    """Goes on after any error within: what only shows a training must not stop it. Also a decorator.

    Args:
        name: what is written within; it is named with the error.
    """
    try:
        yield
    except Exception as error:  # Damaged and foreign files make libraries raise whatever they like.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        print(f"{name} could not be written ({reason}). All else goes on without it", file=sys.stderr)


class Means:
    """Means of scalars over all train steps since the last record, no matter how many calls ran these steps.

    Attributes:
        sums: by name, and under ``steps`` the number of steps. They travel with each checkpoint, so that a resumed run
            logs the same means as an uninterrupted one.

    Args:
        sums: those of the checkpoint that the run resumes from.
    """

    def __init__(self, sums: Mapping[str, float]) -> None:
        self.sums = dict(sums)

    def add(self, means: Mapping[str, float], steps: int) -> None:
        """Adds the means of some steps."""
        for name, value in {**means, "steps": 1.0}.items():
            self.sums[name] = self.sums.get(name, 0.0) + steps * value

    def take(self) -> dict[str, float]:
        """Returns the means, and begins anew."""
        steps = self.sums.pop("steps")
        means = {name: total / steps for name, total in self.sums.items()}
        self.sums = {}
        return means


class Summaries:
    """The record of a run. Used as a context manager, so that everything is flushed at its end.

    Args:
        run: where to write.
        first_step: of this process: what a killed one recorded after it is written anew.
    """

    def __init__(self, run: Run, first_step: int) -> None:
        self._run = run
        self._writer = tf.summary.create_noop_writer()
        with decoration("TensorBoard's event file"):
            self._writer = tf.summary.create_file_writer(str(run.tensorboard))
        with decoration(f"'{run.samples}'"):
            run.samples.mkdir(exist_ok=True)
            for grid in sample_grids(run):
                if step_of(grid) > first_step:
                    grid.unlink()
        _keep_until(run.metrics_file, first_step)
        self._metrics_file = open(run.metrics_file, "a")

    def __enter__(self) -> "Summaries":
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics_file.close()
        with decoration("TensorBoard's event file"):
            self._writer.close()

    def start(self, gan: GAN, real_images: np.ndarray) -> None:
        """Records once a run: the settings, some real images, and the graphs of both networks."""
        settings = dataclasses.asdict(self._run.config)
        table = "\n".join(["| setting | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in settings.items())])
        table = table.encode("utf-8", "backslashreplace").decode()  # A path need not be text.
        with self._events(0):
            hparams.hparams({f.name: settings[f.name] for f in dataclasses.fields(Config) if _is_hyperparameter(f)})
            tf.summary.text("configuration", table)
            tf.summary.image("samples/real", draw_samples(real_images, self._run.config)[None])
        for network in (gan.generator, gan.discriminator):
            with decoration(f"TensorBoard's graph of the {network.name}"):
                # TensorBoard shows one graph a run, so each network gets a run of its own.
                graph_writer = tf.summary.create_file_writer(str(self._run.tensorboard / network.name))
                with graph_writer.as_default():
                    function = tf.function(lambda *inputs, model=network: model(_one_or_all(inputs), training=False))
                    tf.summary.graph(function.get_concrete_function(*_batch_specs(network)).graph)
                graph_writer.close()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes the same numbers to TensorBoard and as one line of metrics.jsonl."""
        with self._events(step):
            for name, value in values.items():
                tf.summary.scalar(name, np.float32(value))
        self._metrics_file.write(json.dumps({"step": step, **values}) + "\n")
        self._metrics_file.flush()

    def samples(self, step: int, gan: GAN, samples: np.ndarray) -> None:
        """Writes the picture of samples of the same latents each time, and histograms of all weights."""
        grid = draw_samples(samples, gan.config)
        path = self._run.samples / f"step-{step:08d}.png"
        with decoration(f"'{path}'"):
            save_png(grid, path)
        with self._events(step):
            tf.summary.image("samples/fixed_z", grid[None])
            for network in (gan.generator, gan.discriminator):
                for variable in network.trainable_variables:
                    tf.summary.histogram(f"weights/{network.name}/{variable.path}", variable.value)

    @contextlib.contextmanager
    def _events(self, step: int) -> Iterator[None]:
        """Writes to TensorBoard until that fails once, which is said once."""
        failed = True
        with decoration("TensorBoard's event file"):
            # NumPy's numbers here and above: TensorFlow keeps every Python number that it makes a tensor of, for ever.
            with self._writer.as_default(np.int64(step)):
                yield
            failed = False
        if failed:
            self._writer = tf.summary.create_noop_writer()


def read_metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl; damaged lines are named once and left out."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    records = [_parse_record(line) for line in lines]
    # What stands after the last line's end is nothing, or was cut off by a kill.
    damaged = tuple(number for number, record in enumerate(records[:-1], start=1) if record is None)
    if damaged:
        _name_damaged_lines(path, damaged)
    return [record for record in records if record is not None]


def _parse_record(line: bytes) -> dict[str, Any] | None:
    """The scalars of a line, with the int ``step``; None where it is anything else."""
    try:
        record = json.loads(line)
        step, numbers = record.pop("step"), record.values()
        if type(step) is not int or not 0 <= step < 2**63 or not all(type(each) in (int, float) for each in numbers):
            return None
        return {"step": step, **{name: float(value) for name, value in record.items()}}
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
        return None


@functools.cache  # A file is read several times, and its damage is worth one line.
def _name_damaged_lines(path: pathlib.Path, numbers: tuple[int, ...]) -> None:
    which = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    print(f"'{path}' is damaged and read without {len(numbers)} of its lines: {which}", file=sys.stderr)


def metrics_at(run: Run, step: int) -> dict[str, float]:
    """The scalars of the record at a step; empty where there is none."""
    records = (record for record in read_metrics(run.metrics_file) if record.pop("step") == step)
    return next(records, {})


@decoration("curves.png")
def save_curves(run: Run) -> None:
    """Draws curves.png from metrics.jsonl: losses, probabilities, gradient norms and any evaluations by the step."""
    from matplotlib.figure import Figure

    records = read_metrics(run.metrics_file)
    if not records:
        return
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
    path = run.directory / "curves.png"
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", dpi=110)
    os.replace(temporary, path)


@decoration("training.gif")
def save_training_gif(run: Run) -> None:
    """Makes training.gif of at most 40 of the grids, evenly spread over the training so far."""
    grids = sample_grids(run)
    chosen = [grids[i] for i in sorted({round(i) for i in np.linspace(0, len(grids) - 1, min(len(grids), GIF_FRAMES))})]
    sizes = {grid: size for grid in chosen if (size := _readable_size(grid))}
    # The frames of a GIF share one size.
    chosen = [grid for grid, size in sizes.items() if size == list(sizes.values())[-1]]
    captions = [f"step {step_of(grid):,}" for grid in chosen]
    save_gif(chosen, captions, run.directory / "training.gif", GIF_FRAME_MILLISECONDS)


def sample_grids(run: Run) -> list[pathlib.Path]:
    """The grids of a run, in the order of their steps."""
    grids = (path for path in run.samples.glob("*") if GRID_NAME.fullmatch(path.name) and path.is_file())
    return sorted(grids, key=step_of)


def step_of(grid: pathlib.Path) -> int:
    """The step in a grid's file name."""
    return int(grid.stem.split("-")[1])


def _readable_size(grid: pathlib.Path) -> tuple[int, int, str] | None:
    """Width, height and mode of a grid; None, which is said, for a file that is no whole picture."""
    try:
        with Image.open(grid, formats=["PNG"]) as picture:
            picture.load()
            return *picture.size, picture.mode
    except Exception as error:  # Decoders raise whatever they like.
        print(f"training.gif is made without '{grid}', which cannot be read: {error}", file=sys.stderr)
        return None


def _is_hyperparameter(field: dataclasses.Field) -> bool:
    return field.metadata["flag"] and not field.metadata["may_change"]


def _keep_until(metrics_file: pathlib.Path, step: int) -> None:
    kept = [json.dumps(record) + "\n" for record in read_metrics(metrics_file) if record["step"] <= step]
    temporary = metrics_file.with_name(f".{metrics_file.name}.tmp")
    temporary.write_text("".join(kept))
    os.replace(temporary, metrics_file)


def _batch_specs(network: Any) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=each.name) for each in network.inputs]


def _one_or_all(inputs: tuple[Any, ...]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)
