"""What the input pipeline delivers to the device, as it is and with its batches copied ahead of time."""

import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import dcgan_tf  # noqa: F401  Settles what TensorFlow reads from the environment

# isort: split
import tensorflow as tf

from dcgan_tf.benchmarking.workload import make_synthetic_data
from dcgan_tf.config.making import make_config
from dcgan_tf.data.batches import make_batches
from tests.conftest import SMALL
from tests.gpu.part import Context, device_name

SIZES: dict[str, dict[str, Any]] = {
    "default": {"image_size": "28", "channels": "1"},
    "dcgan64": {"preset": "dcgan", "image_size": "64", "channels": "3"},
}
AHEAD = 2


def measure_input(context: Context) -> dict[str, Any]:
    """Images per second: read to the host; copied to the device, one after the other; and copied ahead."""
    findings: dict[str, Any] = {}
    for size, settings in SIZES.items():
        config = make_config({**settings, **(SMALL if context.small else {})})
        with tempfile.TemporaryDirectory() as folder:
            data = make_synthetic_data(config, pathlib.Path(folder))
            batches = make_batches(data, config, 0, 10**9)
            ahead = batches.apply(tf.data.experimental.prefetch_to_device(f"/{device_name()}", AHEAD))
            ways: dict[str, tuple[tf.data.Dataset, Callable[[tf.Tensor], object]]] = {
                "read": (batches, lambda images: images),
                "copied": (batches, _touch),
                "copied_ahead": (ahead, _touch),
            }
            findings[size] = {}
            for name, (dataset, use) in ways.items():
                try:
                    rate = _batches_per_second(iter(dataset), use, 0.2 if context.small else 2.0)
                    findings[size][f"{name}_images_per_second"] = config.batch_size * rate
                except tf.errors.OpError as error:
                    findings[size][f"{name}_error"] = str(error)[:300]
                context.save(findings)
    return findings


def _touch(images: tf.Tensor) -> object:
    """Waits until a batch is on the device."""
    with tf.device(device_name()):
        return tf.reduce_max(tf.cast(images, tf.float32)).numpy()


def _batches_per_second(batches: Iterator, use: Callable[[tf.Tensor], object], seconds: float) -> float:
    for _ in range(10):
        use(next(batches)[0])
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        use(next(batches)[0])
        count += 1
    return count / (time.perf_counter() - start)
