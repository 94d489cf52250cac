"""What a training records while it runs: TensorBoard events, metrics.jsonl and sample grids."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.histogram import metadata
from tensorboard.plugins.hparams import api as hparams

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.samples import draw_samples
from dcgan_tf.progress import decoration
from dcgan_tf.runs.pictures import sample_grids, step_of
from dcgan_tf.runs.records import RecordFile
from dcgan_tf.runs.run_directory import Run

# By default, TensorBoard shows ten random pictures of a training. With 0, documented as all, it shows none.
TENSORBOARD_FLAGS = "--samples_per_plugin images=1000"
HISTOGRAM_BUCKETS = 30


class Summaries:
    """Writes the records of a run. Used as a context manager, which flushes everything at the end.

    Args:
        run: The run to write to.
        first_step: The step at which this process starts. Later records, of a process that was killed, are replaced.
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
        """Records what is written once per run: the settings, some real images, and the graphs of both networks."""
        settings = dataclasses.asdict(self._run.config)
        table = "\n".join(["| setting | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in settings.items())])
        table = table.encode("utf-8", "backslashreplace").decode()  # A path may be undecodable.
        with self._events(0):
            hparams.hparams({f.name: settings[f.name] for f in dataclasses.fields(Config) if _is_hyperparameter(f)})
            tf.summary.text("configuration", table)
            tf.summary.image("samples/real", draw_samples(real_images, self._run.config)[None])
        for network in networks:
            with decoration(f"TensorBoard's graph of the {network.name}"):
                # TensorBoard shows one graph per run, so each network gets a run of its own.
                graph_writer = tf.summary.create_file_writer(str(self._run.tensorboard / network.name))
                with graph_writer.as_default():
                    function = tf.function(lambda *inputs, model=network: model(_one_or_all(inputs), training=False))
                    tf.summary.graph(function.get_concrete_function(*_batch_specs(network)).graph)
                graph_writer.close()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes scalars to TensorBoard and as one line of metrics.jsonl."""
        with self._events(step):
            for name, value in values.items():
                tf.summary.scalar(name, np.float32(value))
        self._records.write(step, values)

    def samples(self, step: int, networks: Sequence[keras.Model], samples: np.ndarray) -> None:
        """Writes the sample grid, always of the same latents, and histograms of all weights."""
        grid = draw_samples(samples, self._run.config)
        path = self._run.samples / f"step-{step:08d}.png"
        with decoration(f"'{path}'"):
            save_png(grid, path)
        with self._events(step):
            tf.summary.image("samples/fixed_z", grid[None])
            for network in networks:
                for variable in network.trainable_variables:
                    _write_histogram(f"weights/{network.name}/{variable.path}", np.asarray(variable.value))

    @contextlib.contextmanager
    def _events(self, step: int) -> Iterator[None]:
        """Writes to TensorBoard. The first failure is reported, and ends all writing to it."""
        failed = True
        with decoration("TensorBoard's event file"):
            # NumPy numbers here and above: TensorFlow never frees a Python number that it has converted to a tensor.
            with self._writer.as_default(np.int64(step)):
                yield
            failed = False
        if failed:
            self._writer = tf.summary.create_noop_writer()


def _write_histogram(name: str, values: np.ndarray) -> None:
    """Writes a histogram. ``tf.summary.histogram`` needs 240 bytes per value: 800 MB for the largest kernel."""
    counts, edges = np.histogram(values[np.isfinite(values)], HISTOGRAM_BUCKETS)
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)
    tf.summary.write(name, buckets, metadata=metadata.create_summary_metadata(display_name=None, description=None))


def _is_hyperparameter(field: dataclasses.Field) -> bool:
    return field.metadata["flag"] and not field.metadata["may_change"]


def _batch_specs(network: Any) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=each.name) for each in network.inputs]


def _one_or_all(inputs: tuple[Any, ...]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)
