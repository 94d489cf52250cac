"""Exports a trained generator as one file, for Keras, ONNX or LiteRT."""

import importlib.util
import pathlib
import warnings
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.errors import UserError
from dcgan_tf.generation.networks import Networks
from dcgan_tf.models.pixels import to_samples
from dcgan_tf.models.stock import stock_generator
from dcgan_tf.serving.saved_model import refuse_infinite_weights
from dcgan_tf.serving.verification import GRAY_LEVELS, TOLERANCE

# Format -> the ending of its files, and the packages that write and check them. A pip extra with the format's name
# installs these packages.
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "keras": (".keras", ()),
    "onnx": (".onnx", ("tf2onnx", "onnxruntime")),
    "litert": (".tflite", ("ai_edge_litert",)),
}
CHECKED_ROWS = 5


def refuse_missing_packages(kind: str) -> None:
    """Raises UserError if a package that a format needs is not installed."""
    missing = [package for package in FORMATS[kind][1] if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(
            f"`format={kind}` needs the package {missing[0]}. Install it with: pip install 'dcgan_tf[{kind}]'"
        )


def export_generator(networks: Networks, path: pathlib.Path, kind: str) -> pathlib.Path:
    """Writes the generator to one file.

    The written generator maps z float32 [N, latent_dim] to images float32 [N, height, width, channels] in [-1, 1]. A
    conditional one has a second input, label int64 [N]. It consists of Keras's own layers, and Keras's exporters write
    it. The file is compared with the live generator before it is moved to ``path``.

    Args:
        networks: The trained networks.
        path: The file to be written. An earlier one is replaced.
        kind: A key of `FORMATS`.

    Returns:
        The file.

    Raises:
        UserError: A package is missing, weights are not finite, the file cannot be written, or its images differ from
            those of the live generator by more than one gray level.
    """
    refuse_missing_packages(kind)
    refuse_infinite_weights(networks)
    config = networks.config
    z = np.random.default_rng(0).standard_normal((CHECKED_ROWS, config.latent_dim)).astype(np.float32)
    inputs = [z] + ([np.arange(CHECKED_ROWS) % config.label_count] if config.label_count else [])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path, FORMATS[kind][0]) as written, tf.device("CPU:0"):
            expected = networks.generator(_tensors(inputs), training=False)
            generator = stock_generator(networks.generator)
            generator(_tensors(inputs))  # Keras's exporters refuse a model that was never called.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # tf2onnx uses names of old NumPy releases.
                if kind == "keras":
                    generator.save(written)
                else:
                    generator.export(str(written), format=kind, verbose=False)
            _check(expected, tf.constant(RUNNERS[kind](written, inputs)))
    except OSError as error:
        raise UserError(
            f"the export cannot be written to '{path}': {files.reason(error)}. {files.way_on(error)} and repeat"
        ) from None
    return path


def _tensors(inputs: list[np.ndarray]) -> tf.Tensor | list[tf.Tensor]:
    tensors = [tf.constant(value) for value in inputs]
    return tensors if len(tensors) > 1 else tensors[0]


def _check(expected: tf.Tensor, received: tf.Tensor) -> None:
    expected, received = (to_samples(images).numpy().astype(float) for images in (expected, received))
    distance = np.abs(received - expected).max() if received.shape == expected.shape else np.inf
    if not distance <= (GRAY_LEVELS if expected.ndim == 4 else TOLERANCE * (1 + np.abs(expected).max())):
        raise UserError(
            "the written file failed its check, so it was not published: its images differ from those of the live "
            f"generator by up to {distance:g} gray levels"
        )


def _run_keras(path: pathlib.Path, inputs: list[np.ndarray]) -> np.ndarray:
    generator = keras.saving.load_model(path, compile=False)
    return generator(_tensors(inputs), training=False).numpy()


def _run_onnx(path: pathlib.Path, inputs: list[np.ndarray]) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    feeds = {spec.name: value for spec, value in zip(session.get_inputs(), inputs, strict=True)}
    return session.run(None, feeds)[0]


def _run_litert(path: pathlib.Path, inputs: list[np.ndarray]) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=path.read_bytes())
    specs = [spec["index"] for spec in interpreter.get_input_details()]
    for index, value in zip(specs, inputs, strict=True):
        interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()
    for index, value in zip(specs, inputs, strict=True):
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


RUNNERS: dict[str, Callable[[pathlib.Path, list[np.ndarray]], np.ndarray]] = {
    "keras": _run_keras,
    "onnx": _run_onnx,
    "litert": _run_litert,
}
