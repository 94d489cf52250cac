"""Proves that a written SavedModel answers as the live networks do: python -m dcgan_tf.serving.verification DIRECTORY CASES

Run in a process of its own, which has neither the live model nor TensorFlow's Python, only the C++ runtime of a server.
"""

import io
import json
import pathlib
import sys
from collections.abc import Mapping

import numpy as np
from PIL import Image

from dcgan_tf.serving.c_api import Session, SessionError, disable_xla

GRAY_LEVELS = 1
TOLERANCE = 1e-3


def check(directory: pathlib.Path, cases_file: pathlib.Path) -> list[str]:
    """Runs each signature and compares.

    Args:
        directory: of one version.
        cases_file: ``.npz`` with "signatures", JSON as `Session` takes it, and arrays named
            ``<signature>/inputs/<name>`` and ``<signature>/outputs/<name>``.

    Returns:
        What differs, a line each; empty where all is well.
    """
    with np.load(cases_file, allow_pickle=False) as file:
        arrays = dict(file)
    signatures = json.loads(str(arrays.pop("signatures")))
    try:
        session = Session(directory, signatures)
        return [line for name in signatures for line in _check_signature(session, name, arrays)]
    except SessionError as error:
        return [str(error)]


def decode_pngs(values: np.ndarray) -> np.ndarray:
    """PNG files as bytes [N] -> uint8 [N, height, width, channels]."""
    images = np.stack([np.asarray(Image.open(io.BytesIO(value), formats=["PNG"])) for value in values])
    return images if images.ndim == 4 else images[..., None]


def _check_signature(session: Session, name: str, arrays: Mapping[str, np.ndarray]) -> list[str]:
    inputs = _arrays_below(arrays, f"{name}/inputs/")
    expected = _arrays_below(arrays, f"{name}/outputs/")
    received = session.run(name, inputs)
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
    disable_xla()
    problems = check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print("\n".join(problems))
    sys.exit(bool(problems))
