"""Exports a trained generator and discriminator as a SavedModel for TensorFlow Serving."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dcgan_tf import __version__, files
from dcgan_tf.config.storage import settings_of_model
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.samples import draw_samples
from dcgan_tf.errors import UserError
from dcgan_tf.generation.networks import Networks
from dcgan_tf.generation.sampling import training_samples
from dcgan_tf.generation.source import GRAPH_FILE, versions_in
from dcgan_tf.progress import decoration
from dcgan_tf.serving.model_card import MODEL_CARD, SAMPLES, model_card
from dcgan_tf.serving.signatures import Signature, build_signatures
from dcgan_tf.serving.verification import decode_pngs

ROOT = pathlib.Path(__file__).parents[2]
# The batch sizes to which the server rounds up, as in export/serving/batching.config. Each is run once when a model is
# loaded, so that no client has to wait for the first run.
WARM_UP_ROWS = (1, 8, 64)
VERIFIED_ROWS = 5
METADATA = "model.json"
LAST_VERSION = ".last_version"
LOCK = ".lock"


def export_networks(
    networks: Networks,
    directory: pathlib.Path,
    keep_versions: int,
    metrics: Mapping[str, float] | None = None,
    *,
    verify: str = "load",
) -> pathlib.Path:
    """Publishes ``directory/<version>/``, the next free version, with the signatures of `build_signatures`.

    The version is written under a temporary name, verified in a new process, synced to disk, and renamed, so a visible
    version is always complete. A ``MODEL_CARD.md`` next to the versions describes the newest one. Exports to the same
    directory wait for each other. An old version that cannot be removed stays, with a warning.

    Args:
        networks: The trained networks.
        directory: Folder of the versions. The folder that contains it must exist.
        keep_versions: Number of most recent versions to keep.
        metrics: Metrics measured at that step, which are stored with the model.
        verify: How the written model is checked, one of `verification.WAYS`.

    Returns:
        The new version's folder.

    Raises:
        UserError: The directory contains something else or cannot be written, weights are not finite, or the outputs of
            the written model differ from those of the live one.
    """
    _refuse_foreign(directory)
    refuse_infinite_weights(networks)
    signatures = build_signatures(networks)
    try:
        directory.mkdir(exist_ok=True)  # Without parents, so that a run that is gone is not replaced by its export.
        with files.locked(directory / LOCK, waiting=f"Waiting for another process that exports to '{directory}' ..."):
            path = _publish(networks, directory, signatures, dict(metrics or {}), verify)
            files.discard(versions_in(directory)[:-keep_versions])
            _show_newest_card(directory)
    except (tf.errors.OpError, OSError) as error:
        raise UserError(
            f"the export cannot be written to '{directory}': {files.reason(error)}. {files.way_on(error)} and repeat"
        ) from None
    return path


def _publish(
    networks: Networks, directory: pathlib.Path, signatures: list[Signature], metrics: dict[str, float], verify: str
) -> pathlib.Path:
    version = _next_version(directory)
    temporary = directory / f"{files.WRITING}-{version}"
    files.remove(temporary)
    files.remove_leftovers(directory)
    try:
        temporary.mkdir()
        extra = temporary / "assets.extra"
        _write(signatures, temporary)
        extra.mkdir(exist_ok=True)
        metadata = _metadata(networks, version) | {"metrics": metrics}
        (extra / METADATA).write_text(json.dumps(metadata, indent=1) + "\n")
        files.write_text(extra / MODEL_CARD, model_card(metadata, signatures))
        samples = training_samples(networks.generator, networks.config)
        save_png(draw_samples(samples, networks.config), extra / SAMPLES)
        _write_warm_up(signatures, extra / "tf_serving_warmup_requests")
        _verify(signatures, temporary, verify)
        _sync(temporary)
        # This file outlives all versions, because a server does not load the same version number twice.
        files.write_text(directory / LAST_VERSION, f"{version}\n")
        temporary.rename(directory / str(version))
        _sync(directory, recursive=False)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory / str(version)


def exported_steps(directory: pathlib.Path) -> list[int]:
    """The train step of each readable version, newest last."""
    steps = []
    for version in (path for path in versions_in(directory) if (path / GRAPH_FILE).is_file()):
        with contextlib.suppress(OSError, ValueError):
            metadata = files.read_json(version / "assets.extra" / METADATA)
            if isinstance(metadata, dict) and isinstance(metadata.get("step"), int):
                steps.append(metadata["step"])
    return steps


def newest_version(directory: pathlib.Path) -> pathlib.Path | None:
    """The folder of the newest exported version, or None."""
    return next(reversed(versions_in(directory)), None)


def finish_killed_export(directory: pathlib.Path) -> None:
    """Does what a killed export no longer could: removes its hidden files, and shows the newest version's model card.

    Nothing is done while another process exports to the directory, or if it cannot be written.
    """
    with contextlib.suppress(OSError), files.locked(directory / LOCK):
        files.remove_leftovers(directory)
        _show_newest_card(directory)


def _show_newest_card(directory: pathlib.Path) -> None:
    """Copies the newest version's model card next to the versions.

    If the card cannot be written, a warning is logged, but no error is raised.
    """
    for version in versions_in(directory)[-1:]:
        card = version / "assets.extra" / MODEL_CARD
        with decoration(MODEL_CARD):
            if card.is_file():
                text = card.read_text(encoding="utf-8")
                beside = f"{version.name}/{card.parent.name}/{SAMPLES}"
                files.write_text(directory / MODEL_CARD, text.replace(f"]({SAMPLES})", f"]({beside})"))


def read_signatures(directory: pathlib.Path) -> dict[str, dict[str, dict[str, str]]]:
    """The graph's names of each signature's inputs and outputs, in the form for `dcgan_tf.serving.c_api.Session`."""
    model = saved_model_pb2.SavedModel.FromString((directory / GRAPH_FILE).read_bytes())
    return {
        name: {
            "inputs": {key: info.name for key, info in definition.inputs.items()},
            "outputs": {key: info.name for key, info in definition.outputs.items()},
        }
        for name, definition in model.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }


def _refuse_foreign(directory: pathlib.Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UserError(f"the export cannot be written to '{directory}': it is a file. Choose a folder")
    own = {MODEL_CARD, *(version.name for version in versions_in(directory))}
    foreign = sorted(
        path.name for path in directory.iterdir() if path.name not in own and not path.name.startswith(".")
    )
    if foreign:
        raise UserError(
            f"the export cannot be written to '{directory}': it contains other files, such as '{foreign[0]}'. "
            "Choose a new or an empty folder"
        )


def _next_version(directory: pathlib.Path) -> int:
    last = directory / LAST_VERSION
    recorded = last.read_text(errors="replace").strip() if last.is_file() else ""
    is_number = re.fullmatch(r"[0-9]{1,18}", recorded)
    return max([int(recorded) if is_number else 0, *(int(path.name) for path in versions_in(directory))]) + 1


def refuse_infinite_weights(networks: Networks) -> None:
    """Raises UserError if a weight is not finite."""
    for network in (networks.generator, networks.discriminator):
        for weight in network.weights:
            if not np.all(np.isfinite(weight.numpy())):
                raise UserError(
                    f"the weights {network.name}/{weight.path} are not finite, so nothing was exported. "
                    "Export an earlier checkpoint, or train again with smaller learning rates"
                )


def _write(signatures: list[Signature], directory: pathlib.Path) -> None:
    # A Keras model saved with tf.saved_model.save loads in Python, but not in TensorFlow Serving's C++ session. The
    # archive finds the variables of the signatures itself. Tracking the networks, too, would store every weight twice.
    archive = keras.export.ExportArchive()
    for signature in signatures:
        archive.add_endpoint(signature.name, signature.function, input_signature=list(signature.inputs))
    with files.plain_path(directory) as path:
        archive.write_out(str(path), verbose=False)


def _write_warm_up(signatures: list[Signature], path: pathlib.Path) -> None:
    """Writes tensorflow.serving.PredictionLog records, encoded by hand so that the serving package is not needed."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            for rows in WARM_UP_ROWS:
                model_spec = _field(1, b"dcgan") + _field(3, signature.name.encode())
                request = _field(1, model_spec)
                for name, value in signature.make_example(rows).items():
                    tensor = tf.make_tensor_proto(value).SerializeToString()
                    request += _field(2, _field(1, name.encode()) + _field(2, tensor))
                predict_log = _field(1, request)
                writer.write(_field(6, predict_log))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer: text, bytes or another message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """A number in groups of seven bits, lowest first. The eighth bit is set in all groups except the last."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _verify(signatures: list[Signature], directory: pathlib.Path, way: str) -> None:
    """Raises UserError unless the written model, in another process, gives the same outputs as the live one.

    Both run on the CPU, even if training uses a GPU. Float32 products on a GPU have ten bits of precision (TF32), too
    few for the comparison, and this process may occupy the GPU's memory.
    """
    arrays: dict[str, Any] = {"signatures": json.dumps(read_signatures(directory))}
    for signature in signatures:
        inputs = signature.make_example(VERIFIED_ROWS)
        with tf.device("CPU:0"):
            outputs = signature.function(*(tf.constant(inputs[spec.name]) for spec in signature.inputs))
        arrays |= {f"{signature.name}/inputs/{name}": value for name, value in inputs.items()}
        for name, value in outputs.items():
            array = value.numpy()
            arrays[f"{signature.name}/outputs/{name}"] = decode_pngs(array) if array.dtype == object else array
    with tempfile.NamedTemporaryFile(suffix=".npz") as cases:
        np.savez(cases, **arrays)
        cases.flush()
        result = subprocess.run(
            [sys.executable, "-m", "dcgan_tf.serving.verification", directory.absolute(), cases.name, way],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    if result.returncode:
        problem = (result.stdout.strip() or result.stderr.strip()).splitlines()[-1:]
        raise UserError(f"the written model failed its check, so it was not published: {' '.join(problem)}")


def _metadata(networks: Networks, version: int) -> dict[str, Any]:
    packages = ("tensorflow", "keras", "numpy")
    return {
        "version": version,
        "step": networks.step,
        "image_shape": list(networks.generator.output.shape[1:]),
        "parameters": {
            network.name: network.count_params() for network in (networks.generator, networks.discriminator)
        },
        "config": settings_of_model(networks.config),
        "began_with_another_model": bool(networks.config.init_from),
        "packages": {"dcgan_tf": __version__, **{name: importlib.metadata.version(name) for name in packages}},
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """The current commit of a clone of this project; None outside of a clone, or if Git is missing or fails."""
    command = ["git", "rev-parse", "--show-toplevel", "HEAD"]
    try:
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # An installed copy may lie in a repository of another project.
    top, _, commit = answer.stdout.strip().partition("\n")
    return commit if not answer.returncode and pathlib.Path(top).resolve() == ROOT.resolve() else None


def _sync(directory: pathlib.Path, recursive: bool = True) -> None:
    """Flushes files and their names to disk, so that a power failure cannot leave a rename half done."""
    for path in [*(directory.rglob("*") if recursive else ()), directory]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
