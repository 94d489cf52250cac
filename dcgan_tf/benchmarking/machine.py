"""What this machine is, and what it can do at best."""

import os
import pathlib
import resource
import time
from collections.abc import Callable

import tensorflow as tf

# Large enough to reach the full rate: on two CPU cores one product takes 0.1 to 0.2 s.
MATRIX_SIZE_CPU, MATRIX_SIZE_GPU = 2048, 8192
# On a GPU one takes a millisecond or two, to which reading a number of it would add a noticeable part.
PRODUCTS_CPU, PRODUCTS_GPU = 1, 16


def describe_device() -> str:
    """The accelerator's name, or the processor's with the cores that this process may use."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
    return f"{cpu_cores()} cores of {_processor_name()}"


def has_gpu() -> bool:
    """Whether TensorFlow computes on a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def cpu_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def one_dnn() -> bool:
    """Whether TensorFlow was told to use oneDNN; GPUs do not."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1"


def matrix_product(dtype: str) -> tuple[Callable[[], object], int]:
    """A matrix product on the device, the practical limit of what a network can reach.

    Args:
        dtype: float32 or bfloat16.

    Returns:
        A call that returns when the product, on a GPU several in a row, is done, and its floating-point operations.
    """
    size, products = (MATRIX_SIZE_GPU, PRODUCTS_GPU) if has_gpu() else (MATRIX_SIZE_CPU, PRODUCTS_CPU)
    left, right = (tf.cast(tf.random.stateless_normal((size, size), seed=[0, number]), dtype) for number in range(2))
    right /= float(size) ** 0.5  # So that what is multiplied again and again keeps its scale.

    @tf.function
    def multiply() -> tf.Tensor:
        product = left
        for _ in range(products):
            product = tf.matmul(product, right)
        return product

    # One number is read, which waits for the device without a copy of the whole matrix.
    return lambda: multiply()[0, 0].numpy(), 2 * products * size**3


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_bytes() -> int:
    """The resident memory of this process now."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def device_peak_memory_bytes() -> int | None:
    """The most that TensorFlow has allocated on the GPU at once; None without a GPU."""
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"]) if has_gpu() else None


def seconds_since_process_start() -> float:
    """Since the kernel started this process: the import of TensorFlow, too, is time that a user waits."""
    # The name of the program, in parentheses, may hold blanks. Field 22 of proc_pid_stat(5) is the start.
    fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _processor_name() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "an unknown processor"
