"""The device that training runs on, and explanations of TensorFlow's errors about it."""

import dataclasses
import os
import pathlib
import re

import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.data.processes import core_count
from dcgan_tf.errors import UserError

NVIDIA_DEVICES = pathlib.Path("/dev")
PROCESSOR = pathlib.Path("/proc/cpuinfo")
# Minimum compute capability for bfloat16 arithmetic.
BFLOAT16_CAPABILITY = (8, 0)
MAX_QUOTE = 200

# Pattern in TensorFlow's error -> what is wrong and what to do, with settings in backquotes.
PROBLEMS = (
    (
        r"out of memory|RESOURCE_EXHAUSTED|OOM when",
        "out of memory at `batch_size={batch_size}` and `image_size={image_size}`: try half the batch size or fewer "
        "filters, in a new `run_dir`",
    ),
    (
        r"determinis",
        "on a GPU, TensorFlow has no reproducible implementation of an operation that these settings need. Change "
        "them, or train on the CPU with CUDA_VISIBLE_DEVICES=-1",
    ),
    (
        r"libdevice|ptxas|PTX compilation|nvlink|nvjitlink",
        "`jit_compile=True`: XLA does not find CUDA's compiler. Install it together with TensorFlow (pip install "
        "\".[gpu]\"), give its folder with XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda, or remove "
        "`jit_compile=True`",
    ),
    (
        r"no kernel image|INVALID_PTX|UNSUPPORTED_PTX|NO_BINARY_FOR_GPU|invalid device function",
        "TensorFlow {tensorflow} has no code for this GPU, and the GPU's driver cannot compile it: update the driver",
    ),
    (
        r"\bDNN\b|cudnn|CUDNN|BLAS support|cublas|CUBLAS|cuBlas|Failed to create cu",
        "cuDNN or cuBLAS does not start on the GPU. Another process may be using its memory (nvidia-smi shows it), or "
        "the libraries are not those that TensorFlow {tensorflow} was built for: pip install \".[gpu]\"",
    ),
)  # fmt: skip


def settle_precision(config: Config) -> Config:
    """Replaces ``auto`` in ``mixed_precision`` with True if training is faster in bfloat16, and otherwise with False.

    Training was faster on processors that multiply in bfloat16. It has not been measured on GPUs, with fully connected
    networks, with virtual updates, or with penalties other than R1. In these cases it stays in float32.
    """
    if config.mixed_precision != "auto":
        return config
    is_measured = config.architecture == "dcgan" and not config.unroll_steps and config.penalty in ("none", "r1")
    return dataclasses.replace(config, mixed_precision=is_measured and multiplies_in_bfloat16())


def multiplies_in_bfloat16() -> bool:
    """Whether TensorFlow computes on a processor with instructions for bfloat16, and uses them through oneDNN."""
    if tf.config.list_physical_devices("GPU") or os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return False
    try:
        description = PROCESSOR.read_text()
    except OSError:  # Not Linux
        return False
    return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", description))


def describe_device(config: Config) -> str:
    """The name of the GPU and what it cannot compute, or the number of CPU cores and why no GPU is used.

    Raises:
        UserError: The configuration asks for bfloat16, which the GPU does not support.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        cores = core_count()
        precision = " in bfloat16" * (config.mixed_precision is True)
        return f"{cores} CPU core{'s' * (cores > 1)}{precision} ({_why_no_gpu()})"
    details = tf.config.experimental.get_device_details(gpus[0])
    name = details.get("device_name", gpus[0].name)
    if config.mixed_precision is True and details.get("compute_capability", BFLOAT16_CAPABILITY) < BFLOAT16_CAPABILITY:
        raise UserError(
            f"`mixed_precision=True`: {name} has no bfloat16 arithmetic, which needs compute capability 8.0 or "
            "higher. Remove `mixed_precision=True`"
        )
    if config.upsampling == "bicubic":
        return f"{name}; `upsampling=bicubic` resizes on the CPU while the GPU waits, `upsampling=bilinear` does not"
    return str(name)


def explain(error: tf.errors.OpError, config: Config) -> str | None:
    """One line on what an error in the train step means and what to do; None if it is not about the device."""
    text = str(error)
    if isinstance(error, tf.errors.ResourceExhaustedError):
        text = f"RESOURCE_EXHAUSTED: {text}"
    for pattern, advice in PROBLEMS:
        if re.search(pattern, text):
            meaning = advice.format(
                batch_size=config.batch_size, image_size=config.image_size, tensorflow=tf.__version__
            )
            return f"{meaning} ({str(error).splitlines()[0][:MAX_QUOTE]})"
    return None


def read_scalars(scalars: dict[str, tf.Tensor]) -> dict[str, float]:
    """Reads all scalars in a single copy, because each copy waits for the GPU."""
    return dict(zip(scalars, tf.stack(list(scalars.values())).numpy().tolist(), strict=True))


def _why_no_gpu() -> str:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides any GPU"
    if any(NVIDIA_DEVICES.glob("nvidia[0-9]*")):
        return (
            'TensorFlow cannot use the NVIDIA GPU of this machine: pip install ".[gpu]" installs its libraries, and '
            "TF_CPP_MIN_LOG_LEVEL=0 shows what is missing"
        )
    return "no GPU found; run with TF_CPP_MIN_LOG_LEVEL=0 to see why"
