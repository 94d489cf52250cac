"""The GPU: its name and memory, whether TensorFlow works on it, and its peak rates."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

from tests.gpu.part import Context

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"  # Only the log names a missing library.

import dcgan_tf  # noqa: F401  Settles what TensorFlow reads from the environment

# isort: split
import tensorflow as tf

from dcgan_tf.benchmarking import machine

COPIED_BYTES, COPIED_BYTES_SMALL = 2**30, 2**22
ADDITIONS = 8
REPEATS = 5


def describe(context: Context) -> dict[str, Any]:
    """Rates in FLOP/s and bytes/s, and what does not work, with its error."""
    gpus = tf.config.list_physical_devices("GPU")
    build = tf.sysconfig.get_build_info()
    findings: dict[str, Any] = {
        "tensorflow": tf.__version__,
        "built_for": {name: build.get(name) for name in ("cuda_version", "cudnn_version", "cuda_compute_capabilities")},
        "gpus": [tf.config.experimental.get_device_details(gpu) for gpu in gpus],
        "nvidia_smi": _nvidia_smi(),
        "device": machine.describe_device(),
        "errors": {},
    }
    context.save(findings)
    if not gpus and not context.small:
        return findings | {"status": "failed: TensorFlow does not see a GPU", "stop": True}
    if context.small:
        machine.MATRIX_SIZE_CPU = 128
    tf.config.experimental.enable_op_determinism()
    for name, check in CHECKS.items():
        try:
            findings[name] = check(context)
        except Exception as error:  # What does not work is a finding.
            findings["errors"][name] = f"{type(error).__name__}: {str(error)[:600]}"
        context.save(findings)
    if not {"convolution_works", "matmul_tf32_flops"} <= findings.keys():
        findings |= {"status": "failed: the GPU does not compute", "stop": not context.small}
    return findings


def _matmul(dtype: str, tf32: bool) -> Callable[[Context], float]:
    def measure(_: Context) -> float:
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        try:
            multiply, operations = machine.matrix_product(dtype)
            return operations / _seconds_of(multiply)
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(True)

    return measure


def _bandwidth(context: Context) -> float:
    """Bytes read and written per second by additions in place, which read two for each that they write."""
    count = (COPIED_BYTES_SMALL if context.small else COPIED_BYTES) // 4
    variable, other = tf.Variable(tf.zeros(count)), tf.ones(count)

    @tf.function
    def add() -> tf.Tensor:
        for _ in range(ADDITIONS):
            variable.assign_add(other)
        return variable[0]

    return ADDITIONS * 3 * 4 * count / _seconds_of(lambda: add().numpy())


def _convolution(_: Context) -> bool:
    """A convolution with BatchNorm and both gradients, with determinism on."""
    layers = [tf.keras.layers.Conv2D(8, 4, strides=2), tf.keras.layers.BatchNormalization()]
    images = tf.random.stateless_normal((4, 16, 16, 3), [0, 0])
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(layers[1](layers[0](images), training=True) ** 3)
    gradients = tape.gradient(loss, [images, layers[0].kernel])
    return bool(all(tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients))


def _xla(_: Context) -> bool:
    return bool(tf.function(lambda x: tf.reduce_sum(tf.sin(x) * 2), jit_compile=True)(tf.ones(64)) > 0)


def _bfloat16(_: Context) -> bool:
    kernel, images = tf.ones((4, 4, 3, 8), tf.bfloat16), tf.ones((4, 16, 16, 3), tf.bfloat16)
    return bool(tf.nn.conv2d(images, kernel, 2, "SAME")[0, 4, 4, 0] == 48)


CHECKS: dict[str, Callable[[Context], Any]] = {
    "convolution_works": _convolution,
    "bfloat16_works": _bfloat16,
    "xla_works": _xla,
    "matmul_tf32_flops": _matmul("float32", True),
    "matmul_bfloat16_flops": _matmul("bfloat16", True),
    "matmul_float32_flops": _matmul("float32", False),
    "bandwidth": _bandwidth,
}


def _seconds_of(call: Callable[[], object]) -> float:
    call()  # Traces and loads.
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _nvidia_smi() -> str:
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
