"""A description of this machine, and its limits."""

import os
import pathlib
import resource
import time
from collections.abc import Callable

import tensorflow as tf

from dcgan_tf.data.processes import core_count

# Large enough to reach the full rate: on two CPU cores one product takes 0.1 to 0.2 s.
MATRIX_SIZE_CPU, MATRIX_SIZE_GPU = 2048, 8192
# On a GPU, one product takes a millisecond or two, and reading its result would add noticeably to this time.
PRODUCTS_CPU, PRODUCTS_GPU = 1, 16


def describe_device() -> str:
    """The name of the accelerator, or of the processor with the number of cores that this process may use."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
    return f"{core_count()} cores of {_processor_name()}"


def has_gpu() -> bool:
    """Whether TensorFlow computes on a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def one_dnn() -> bool:
    """Whether TensorFlow was told to use oneDNN, which only affects CPUs."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1"


def matrix_product(dtype: str) -> tuple[Callable[[], object], int]:
    """A matrix product on the device, whose speed is the practical limit for a network.

    Args:
        dtype: float32 or bfloat16.

    Returns:
        A function that returns when the product (on a GPU, several in a row) is done, and its number of floating-point
        operations.
    """
    size, products = (MATRIX_SIZE_GPU, PRODUCTS_GPU) if has_gpu() else (MATRIX_SIZE_CPU, PRODUCTS_CPU)
    left, right = (tf.cast(tf.random.stateless_normal((size, size), seed=[0, number]), dtype) for number in range(2))
    right /= float(size) ** 0.5  # Keeps the scale of repeated products.

    @tf.function
    def multiply() -> tf.Tensor:
        product = left
        for _ in range(products):
            product = tf.matmul(product, right)
        return product

    # Reading one number waits for the device without copying the whole matrix.
    return lambda: multiply()[0, 0].numpy(), 2 * products * size**3


def peak_memory_bytes() -> int:
    """The peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_bytes() -> int:
    """The current resident memory of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def device_peak_memory_bytes() -> int | None:
    """The peak memory that TensorFlow has allocated on the GPU; None without a GPU."""
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"]) if has_gpu() else None


def seconds_since_process_start() -> float:
    """Seconds since the kernel started this process, so that the import of TensorFlow is included."""
    # The program name, in parentheses, may contain blanks. Field 22 of proc_pid_stat(5) is the start time.
    fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _processor_name() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "an unknown processor"
