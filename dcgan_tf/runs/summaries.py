"""What a run records during training: TensorBoard events, metrics.jsonl and sample grids."""

import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.histogram import metadata
from tensorboard.plugins.hparams import api as hparams

from dcgan_tf.config.settings import Config, changed_settings
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.samples import draw_samples
from dcgan_tf.progress import decoration
from dcgan_tf.runs.pictures import sample_grids, step_of
from dcgan_tf.runs.records import RecordFile
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.runs.tags import describe_scalar, tag_of

# By default, TensorBoard shows ten random pictures of a run. The value 0 is documented as "all" but shows none.
TENSORBOARD_FLAGS = "--samples_per_plugin images=1000"
HISTOGRAM_BUCKETS = 30
NAMING_SETTINGS = ("preset", "dataset", "loss", "seed")  # Hyperparameters even with their defaults


class Summaries:
    """Writes the records of a run. Use it as a context manager, which flushes everything at the end.

    Args:
        run: The run to write to.
        first_step: The step at which this process starts. Later records, left by a killed process, are replaced.
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
        self._records = RecordFile(run.metrics_file, first_step)

    def __enter__(self) -> "Summaries":
        return self

    def __exit__(self, *_: object) -> None:
        self._records.__exit__()
        with decoration("TensorBoard's event file"):
            self._writer.close()

    def start(self, networks: Sequence[keras.Model], real_images: np.ndarray) -> None:
        """Records what is written once per run: the settings, some real images, and the graph of the networks."""
        config = self._run.config
        with self._events(0):
            hparams.hparams(_hyperparameters(config), trial_id=_escape(self._run.directory.resolve().name))
            tf.summary.text("settings", _describe_settings(config), description="All settings, as in config.json")
            tf.summary.image("samples/real", draw_samples(real_images, config)[None], description="Training images")
        with decoration("TensorBoard's graph"), self._events(0):
            tf.summary.graph(tf.function(_call_each(networks)).get_concrete_function(*_batch_specs(networks)).graph)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes scalars to TensorBoard and as one line of metrics.jsonl."""
        with self._events(step):
            for name, value in values.items():
                tf.summary.scalar(tag_of(name), np.float32(value), description=describe_scalar(name))
        self._records.write(step, values)

    def samples(self, step: int, networks: Sequence[keras.Model], samples: np.ndarray) -> None:
        """Writes the sample grid, which always shows the same latents, and histograms of all weights."""
        grid = draw_samples(samples, self._run.config)
        path = self._run.samples / f"step-{step:08d}.png"
        with decoration(f"'{path}'"):
            save_png(grid, path)
        with self._events(step):
            tf.summary.image("samples/fixed_z", grid[None], description="Images of the same latents at each step")
            for network in networks:
                for variable in network.trainable_variables:
                    _write_histogram(f"weights/{network.name}/{variable.path}", np.asarray(variable.value))

    @contextlib.contextmanager
    def _events(self, step: int) -> Iterator[None]:
        """Lets the block write to TensorBoard. The first failure is reported, and nothing is written after it."""
        failed = True
        with decoration("TensorBoard's event file"):
            # NumPy numbers here and above: TensorFlow never frees a Python number that it has converted to a tensor.
            with self._writer.as_default(np.int64(step)):
                yield
            failed = False
        if failed:
            self._writer = tf.summary.create_noop_writer()


@decoration("TensorBoard's event file")
def record_model_card(run: Run, step: int, card: pathlib.Path) -> None:
    """Shows the model card of an export in TensorBoard, without its YAML header."""
    text = re.sub(r"\A---\n.*?\n---\n", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    with writer.as_default(np.int64(step)):
        tf.summary.text("model_card", text, description="The model card of the export")
    writer.close()


def _write_histogram(name: str, values: np.ndarray) -> None:
    """Writes a histogram. ``tf.summary.histogram`` needs 240 bytes per value: 800 MB for the largest kernel."""
    counts, edges = np.histogram(values[np.isfinite(values)], HISTOGRAM_BUCKETS)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)
    described = metadata.create_summary_metadata(display_name=None, description="Distribution of a tensor of weights")
    tf.summary.write(name, buckets, metadata=described)


def _hyperparameters(config: Config) -> dict[str, Any]:
    """The settings by which runs differ: those that are not the default, and what names a run."""
    return {
        field.name: _escape(value) if isinstance(value, str) else value
        for field, value in ((field, getattr(config, field.name)) for field in dataclasses.fields(Config))
        if field.name in NAMING_SETTINGS
        or (field.metadata["flag"] and not field.metadata["may_change"] and value != field.default)
    }


def _describe_settings(config: Config) -> str:
    """The settings as Markdown, those that are not the default first."""
    changed = [f"`{setting}`" for setting in changed_settings(config)]
    rows = [f"| {name} | {value} |" for name, value in dataclasses.asdict(config).items()]
    heading = f"Different from the defaults: {', '.join(changed) or 'none'}"
    return _escape("\n".join([heading, "", "| setting | value |", "|---|---|", *rows]))


def _escape(text: str) -> str:
    """Escapes the parts of a path that are not valid text."""
    return text.encode("utf-8", "backslashreplace").decode()


def _call_each(networks: Sequence[Any]) -> Callable[..., list[tf.Tensor]]:
    """A function of the inputs of all networks. Each network is one of its nodes, because a run has a single graph."""

    def call(*inputs: tf.Tensor) -> list[tf.Tensor]:
        remaining, outputs = list(inputs), []
        for network in networks:
            own = [remaining.pop(0) for _ in network.inputs]
            with tf.name_scope(network.name):
                outputs.append(network(own[0] if len(own) == 1 else own, training=False))
        return outputs

    return call


def _batch_specs(networks: Sequence[Any]) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=f"{network.name}_{each.name}")
        for network in networks
        for each in network.inputs
    ]
