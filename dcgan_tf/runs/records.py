"""What is written while training: TensorBoard, metrics.jsonl, grids; and from them the curves and the GIF."""

import dataclasses
import json
import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.grids import save_gif, save_png
from dcgan_tf.generation.sampling import draw_samples
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.training.gan import GAN

GIF_FRAMES = 40
GIF_FRAME_MILLISECONDS = 150


class Summaries:
    """The record of a run. Used as a context manager, so that everything is flushed at its end.

    Args:
        run: where to write.
        first_step: of this process: what a killed one recorded after it is written anew.
    """

    def __init__(self, run: Run, first_step: int) -> None:
        self._run = run
        run.samples.mkdir(exist_ok=True)
        self._writer = tf.summary.create_file_writer(str(run.tensorboard))
        _keep_until(run.metrics_file, first_step)
        for grid in sample_grids(run):
            if step_of(grid) > first_step:
                grid.unlink()
        self._metrics_file = open(run.metrics_file, "a")

    def __enter__(self) -> "Summaries":
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics_file.close()
        self._writer.close()

    def start(self, gan: GAN, real_images: np.ndarray) -> None:
        """Records once a run: the settings, some real images, and the graphs of both networks."""
        settings = dataclasses.asdict(self._run.config)
        table = "\n".join(["| setting | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in settings.items())])
        table = table.encode("utf-8", "backslashreplace").decode()  # A path need not be text.
        with self._writer.as_default():
            hparams.hparams({f.name: settings[f.name] for f in dataclasses.fields(Config) if _is_hyperparameter(f)})
            tf.summary.text("configuration", table, step=0)
            tf.summary.image("samples/real", draw_samples(real_images, self._run.config)[None], step=0)
        for network in (gan.generator, gan.discriminator):
            # TensorBoard shows one graph a run, so each network gets a run of its own.
            graph_writer = tf.summary.create_file_writer(str(self._run.tensorboard / network.name))
            with graph_writer.as_default():
                function = tf.function(lambda *inputs, model=network: model(_one_or_all(inputs), training=False))
                tf.summary.graph(function.get_concrete_function(*_batch_specs(network)).graph)
            graph_writer.close()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes the same numbers to TensorBoard and as one line of metrics.jsonl."""
        with self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._metrics_file.write(json.dumps({"step": step, **values}) + "\n")
        self._metrics_file.flush()

    def samples(self, step: int, gan: GAN, samples: np.ndarray) -> None:
        """Writes the picture of samples of the same latents each time, and histograms of all weights."""
        grid = draw_samples(samples, gan.config)
        save_png(grid, self._run.samples / f"step-{step:08d}.png")
        with self._writer.as_default(step):
            tf.summary.image("samples/fixed_z", grid[None])
            for network in (gan.generator, gan.discriminator):
                for variable in network.trainable_variables:
                    tf.summary.histogram(f"weights/{network.name}/{variable.path}", variable.value)


def read_metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, without a last one that was cut off by a kill."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def metrics_at(run: Run, step: int) -> dict[str, float]:
    """The scalars of the record at a step; empty where there is none."""
    records = (record for record in read_metrics(run.metrics_file) if record.pop("step") == step)
    return next(records, {})


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


def save_training_gif(run: Run) -> None:
    """Makes training.gif of at most 40 of the grids, evenly spread over the training so far."""
    grids = sample_grids(run)
    chosen = [grids[i] for i in sorted({round(i) for i in np.linspace(0, len(grids) - 1, min(len(grids), GIF_FRAMES))})]
    captions = [f"step {step_of(grid):,}" for grid in chosen]
    save_gif(chosen, captions, run.directory / "training.gif", GIF_FRAME_MILLISECONDS)


def sample_grids(run: Run) -> list[pathlib.Path]:
    """The grids of a run, in the order of their steps."""
    return sorted(run.samples.glob("step-*.png"), key=step_of)


def step_of(grid: pathlib.Path) -> int:
    """The step in a grid's file name."""
    return int(grid.stem.split("-")[1])


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
