"""Proves, in a separate process, that a written SavedModel gives the same outputs as the live networks.

    python -m dcgan_tf.serving.verification DIRECTORY CASES WAY

The process has no live model. With the way ``load``, TensorFlow loads the written model. With ``server``, the C++
loader and session of TensorFlow Serving load it, through TensorFlow's C API and without its Python.
"""

import io
import json
import pathlib
import sys
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from dcgan_tf import files, notices

GRAY_LEVELS = 1
TOLERANCE = 1e-3
WAYS = ("load", "server")

# Computes a signature's outputs from its name and its inputs.
Run = Callable[[str, dict[str, np.ndarray]], Mapping[str, np.ndarray]]


def check(directory: pathlib.Path, cases_file: pathlib.Path, way: str) -> list[str]:
    """Runs each signature and compares its outputs.

    Args:
        directory: Folder of one version.
        cases_file: A ``.npz`` file with "signatures", in JSON as for `Session`, and arrays named
            ``<signature>/inputs/<name>`` and ``<signature>/outputs/<name>``.
        way: One of `WAYS`.

    Returns:
        The differences, one line each; empty if there are none.
    """
    arrays = files.read_arrays(cases_file)
    signatures = json.loads(str(arrays.pop("signatures")))
    try:
        run = _load(directory) if way == "load" else _open_session(directory, signatures)
        return [line for name in signatures for line in _check_signature(run, name, arrays)]
    except Exception as error:  # TensorFlow's errors for a bad model have no common type.
        return [files.reason(error)]


def _load(directory: pathlib.Path) -> Run:
    notices.import_tensorflow()
    import tensorflow as tf

    with files.plain_path(directory) as path:
        model = tf.saved_model.load(str(path))

    def run(name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = model.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    return run


def _open_session(directory: pathlib.Path, signatures: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Run:
    from dcgan_tf.serving.c_api import Session, disable_xla

    disable_xla()
    return Session(directory, signatures).run


def decode_pngs(values: np.ndarray) -> np.ndarray:
    """Decodes PNG files, bytes [N], to uint8 [N, height, width, channels]."""
    images = np.stack([np.asarray(Image.open(io.BytesIO(value), formats=["PNG"])) for value in values])
    return images if images.ndim == 4 else images[..., None]


def _check_signature(run: Run, name: str, arrays: Mapping[str, np.ndarray]) -> list[str]:
    inputs = _arrays_below(arrays, f"{name}/inputs/")
    expected = _arrays_below(arrays, f"{name}/outputs/")
    received = run(name, inputs)
    if received.keys() != expected.keys():
        return [f"{name}: expected the outputs {sorted(expected)}. Received: {sorted(received)}"]
    differences = []
    for key, values in expected.items():
        answer = decode_pngs(received[key]) if received[key].dtype == object else received[key]
        if answer.shape != values.shape:
            differences.append(f"{name}: {key} has the shape {answer.shape}, not {values.shape}")
            continue
        is_image = values.dtype == np.uint8
        distance = np.abs(answer.astype(float) - values.astype(float))
        allowed = GRAY_LEVELS if is_image else TOLERANCE * (1 + np.abs(values))
        if not np.all(distance <= allowed):
            differences.append(f"{name}: {key} differs from the live model by up to {distance.max():g}")
    return differences


def _arrays_below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


if __name__ == "__main__":
    problems = check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
    print("\n".join(problems))
    sys.exit(bool(problems))
