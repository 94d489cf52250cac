"""Helpers that compare what runs leave behind, and one that ends runs quickly."""

import pathlib

import numpy as np
import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.generation.source import GRAPH_FILE
from dcgan_tf.runs.records import read_metrics
from dcgan_tf.serving import saved_model
from dcgan_tf.training import loop


def checkpoint_values(run_dir, step):
    """The arrays of a checkpoint, by name."""
    with files.plain_path(pathlib.Path(run_dir) / "checkpoints" / f"step-{step:08d}") as path:
        reader = tf.train.load_checkpoint(str(path / "checkpoint"))
        # The object graph holds names with numbers that depend on what else Keras has made in the process.
        names = reader.get_variable_to_shape_map().keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
        return {name: reader.get_tensor(name) for name in names}


def assert_same_checkpoint(first, second, step):
    """Asserts that the checkpoints of two runs are the same, bit for bit."""
    first, second = checkpoint_values(first, step), checkpoint_values(second, step)
    assert first.keys() == second.keys()
    assert len(first) > 50  # Weights of three networks and two optimizers with their slots
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def scalars(run_dir):
    """metrics.jsonl without what depends on the clock."""
    return timeless(read_metrics(pathlib.Path(run_dir) / "metrics.jsonl"))


def timeless(records):
    return [{name: value for name, value in record.items() if not name.startswith("perf/")} for record in records]


def end_quickly(patch):
    """Ends the runs of this process without what takes seconds and has tests of its own: curves, and the export's
    graphs and their check. Its versions, with their numbers and metadata, are published all the same."""
    patch.setattr(loop, "save_curves", lambda _: None)
    patch.setattr(saved_model, "_write", lambda _, directory: (directory / GRAPH_FILE).write_bytes(b""))
    patch.setattr(saved_model, "_verify", lambda *_: None)
