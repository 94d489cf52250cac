"""Training from Python: `dcgan_tf.train`."""

import dataclasses
import difflib
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dcgan_tf import notices, progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY, open_array, open_dataset
from dcgan_tf.data.sources import data_set_at
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import open_initial
from dcgan_tf.runs.run_directory import configure, has_checkpoint

if TYPE_CHECKING:
    import tensorflow as tf

    from dcgan_tf.training.result import TrainResult


def train(
    data: "npt.ArrayLike | tf.data.Dataset | str | os.PathLike[str]",
    *,
    run_dir: str | os.PathLike[str],
    labels: npt.ArrayLike | None = None,
    verbose: bool = True,
    on_log: Callable[[int, dict[str, float]], None] | None = None,
    **settings: Any,
) -> "TrainResult":
    """Trains a DCGAN or resumes a run, and exports the generator at the end.

    It works in a notebook and outside the main thread. On KeyboardInterrupt, it saves a checkpoint and raises the
    exception again. The same call then resumes the run.

    >>> import numpy as np, dcgan_tf
    >>> images = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 1), np.uint8)
    >>> result = dcgan_tf.train(images, run_dir=FOLDER, verbose=False, **SMALL)
    >>> result.step, result.generator.sample([0, 1, 2]).shape
    (4, (3, 16, 16, 1))

    Args:
        data: The images: a uint8 array [N, height, width, channels]; a `tf.data.Dataset` of images or of pairs (image,
            label); a folder or a zip archive of pictures; a parquet file or a folder of them; or the name of a data
            set.
        run_dir: The run's folder; created if it does not exist, resumed if it does.
        labels: The class of each image of an array: integers [N], starting at 0.
        verbose: Whether to show progress. False prints nothing.
        on_log: Called as ``on_log(step, metrics)`` whenever metrics are logged.
        settings: Fields of `Config`, such as ``steps=2_000``.

    Returns:
        The run's folder, its last step and metrics, the exported model, and the generator.

    Raises:
        ValueError: A setting or the data cannot be used. The message says what was received, what is expected and what
            to do. ``field`` names the setting, if the error is about one.
    """
    source, named = _open_data(data, labels)
    known = {field.name for field in dataclasses.fields(Config) if field.metadata["flag"]}
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean `{close[0]}`?" if close else "See the fields of dcgan_tf.Config"
            raise UserError(f"unknown setting `{name}`. {hint}", field=name)
        if name in named:
            raise UserError(f"`{name}` is determined by the data that you pass: remove it", field=name)
    with progress.shown(verbose):
        config = configure(os.fspath(run_dir), {**settings, **named})
        if config.init_from and not has_checkpoint(os.fspath(run_dir)):
            open_initial(config)  # Before the import of TensorFlow, and before the data is prepared
        notices.import_tensorflow(has_whole_keras=True)
        from dcgan_tf.training import loop

        return loop.train(config, os.fspath(run_dir), source=source, on_log=on_log)


def _open_data(
    data: "npt.ArrayLike | tf.data.Dataset | str | os.PathLike[str]", labels: npt.ArrayLike | None
) -> tuple[Any, dict[str, str]]:
    """The source of an array or a dataset (None for a folder or a name), and the settings that name the data."""
    if isinstance(data, (str, os.PathLike)):
        if labels is not None:
            raise UserError(
                "labels can be passed only with an array. A folder has one subfolder per class or a labels.csv, and a "
                "data set has its own labels"
            )
        if dataset := data_set_at(pathlib.Path(data).expanduser()):
            return None, {"dataset": dataset, "data_dir": os.fspath(data)}
        return None, {"dataset": os.fspath(data)}
    if hasattr(data, "element_spec"):
        if labels is not None:
            raise UserError("labels can be passed only with an array. A dataset yields pairs (image, label)")
        return open_dataset(data), {"dataset": ARRAY}
    return open_array(np.asarray(data), labels), {"dataset": ARRAY}
