"""The device that a training runs on, and what TensorFlow's errors about it mean."""

import os
import pathlib
import re

import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

NVIDIA_DEVICES = pathlib.Path("/dev")
# Of what bfloat16 needs; older ones have no such arithmetic.
BFLOAT16_CAPABILITY = (8, 0)
MAX_QUOTE = 200

# What TensorFlow says -> what is wrong and what to do, with the settings in backquotes.
PROBLEMS = (
    (
        r"out of memory|RESOURCE_EXHAUSTED|OOM when",
        "out of memory at `batch_size={batch_size}` and `image_size={image_size}`: try half the batch or fewer "
        "filters, in a new `run_dir`",
    ),
    (
        r"determinis",
        "TensorFlow has no reproducible way to compute on a GPU what these settings ask for. Use other ones, or train "
        "on the CPU: CUDA_VISIBLE_DEVICES=-1",
    ),
    (
        r"libdevice|ptxas|PTX compilation|nvlink|nvjitlink",
        "`jit_compile=True`: XLA does not find CUDA's compiler. Install TensorFlow with it by pip install \".[gpu]\", "
        "name its folder by XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda, or leave `jit_compile=True` out",
    ),
    (
        r"no kernel image|INVALID_PTX|UNSUPPORTED_PTX|NO_BINARY_FOR_GPU|invalid device function",
        "TensorFlow {tensorflow} has no code for this GPU, and its driver cannot make any: update the driver",
    ),
    (
        r"\bDNN\b|cudnn|CUDNN|BLAS support|cublas|CUBLAS|cuBlas|Failed to create cu",
        "cuDNN or cuBLAS does not start on the GPU. Another process may hold its memory (nvidia-smi names it), or the "
        "libraries are not those that TensorFlow {tensorflow} was built for: pip install \".[gpu]\"",
    ),
)  # fmt: skip


def describe_device(config: Config) -> str:
    """The GPU's name, and what it does not compute itself; or how many CPU cores there are, and why no GPU is used.

    Raises:
        UserError: The GPU cannot compute in bfloat16, which the configuration asks for.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        cores = len(os.sched_getaffinity(0))
        return f"{cores} CPU core{'s' * (cores > 1)} ({_why_no_gpu()})"
    details = tf.config.experimental.get_device_details(gpus[0])
    name = details.get("device_name", gpus[0].name)
    if config.mixed_precision and details.get("compute_capability", BFLOAT16_CAPABILITY) < BFLOAT16_CAPABILITY:
        raise UserError(
            f"`mixed_precision=True`: {name} has no bfloat16 arithmetic (compute capability 8.0 or later has). Leave "
            "it out"
        )
    if config.upsampling == "bicubic":
        return f"{name}; `upsampling=bicubic` resizes on the CPU, and the GPU waits for it. bilinear stays on the GPU"
    return str(name)


def explain(error: tf.errors.OpError, config: Config) -> str | None:
    """One line on what an error of the train step means and what to do; None where it is not about the device."""
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
    """Reads scalars in one copy for all of them: a GPU is waited for in each."""
    return dict(zip(scalars, tf.stack(list(scalars.values())).numpy().tolist(), strict=True))


def _why_no_gpu() -> str:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides any GPU"
    if any(NVIDIA_DEVICES.glob("nvidia[0-9]*")):
        return (
            'TensorFlow cannot use the NVIDIA GPU of this machine: pip install ".[gpu]" brings its libraries, and '
            "TF_CPP_MIN_LOG_LEVEL=0 shows what is missing"
        )
    return "no GPU found; run with TF_CPP_MIN_LOG_LEVEL=0 to see why"
