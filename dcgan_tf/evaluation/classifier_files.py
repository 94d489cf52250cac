"""The files of a classifier: its weights and facts, and its unfinished training."""

import pathlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import files, progress
from dcgan_tf.models.weights import digest_of_weights


class Facts(NamedTuple):
    """Facts that are stored with the weights.

    Attributes:
        accuracy: Share of correct predictions.
        accuracy_split: The images it was tested on.
        tested_digest: Digest of the data set of these images; empty if an earlier release wrote the file.
    """

    accuracy: float
    accuracy_split: str
    tested_digest: str


def save_classifier(network: keras.Model, facts: Facts, path: pathlib.Path) -> None:
    """Writes the weights and the facts, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = _numbered("weight", network.get_weights())
    files.write_arrays(path, **facts._asdict(), digest=digest_of_weights(network), **weights)


def load_classifier(network: keras.Model, path: pathlib.Path) -> Facts | None:
    """Loads the weights and returns the facts, or None if there is no file.

    Raises:
        ValueError: The file is damaged. The weights may have been changed.
    """
    if not path.exists():
        return None
    try:
        arrays = files.read_arrays(path)
        network.set_weights(_in_order("weight", arrays))
        if str(arrays["digest"]) != digest_of_weights(network):
            raise ValueError("its digest differs")
        return Facts(float(arrays["accuracy"]), str(arrays["accuracy_split"]), str(arrays.get("tested_digest", "")))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(files.reason(error)) from None


def unfinished(path: pathlib.Path) -> pathlib.Path:
    """The path at which the training of a classifier is saved until it is complete."""
    return path.with_name(f".training-{path.name}")


def save_training(variables: list[tf.Variable], step: int, path: pathlib.Path) -> None:
    """Writes all variables of a training run and its step, whole or not at all."""
    files.write_arrays(path, step=step, **_numbered("variable", [variable.numpy() for variable in variables]))


def restore_training(variables: list[tf.Variable], path: pathlib.Path, steps: int) -> int:
    """Restores the variables of a training run.

    Args:
        variables: The variables, in the order in which `save_training` saved them.
        path: Path of the file.
        steps: Number of steps of the whole training run.

    Returns:
        The number of steps done; 0 if the file does not exist or is damaged. Damage is logged.
    """
    if not path.exists():
        return 0
    try:
        arrays = files.read_arrays(path)
        step, saved = int(arrays["step"]), _in_order("variable", arrays)
        if not 0 < step < steps or [array.shape for array in saved] != [tuple(v.shape) for v in variables]:
            raise ValueError("it belongs to another training run")
    except (ValueError, TypeError, KeyError) as error:
        progress.logger.info(
            f"The interrupted training in '{path}' is damaged ({files.reason(error)}): starting again."
        )
        return 0
    for variable, array in zip(variables, saved, strict=True):
        variable.assign(array)
    progress.logger.info(f"Continuing after {step} of {steps} steps.")
    return step


def _numbered(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{name}_{number:03d}": array for number, array in enumerate(arrays)}


def _in_order(name: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}_")]
