"""One part of tests.gpu.run, in a process of its own: python -m tests.gpu.part NAME --result=FILE ..."""

import argparse
import dataclasses
import functools
import importlib
import json
import pathlib
import shutil
import sys
import time
from typing import Any

# Part -> its function. Each takes a `Context` and returns what it found, as JSON.
PARTS = {
    # Name, memory, rates of the card; whether TensorFlow and XLA work on it.
    "device": "device:describe",
    # The default run to its export.
    "training": "trainings:train_default",
    # Losses and gradients of a step compared with the CPU's: in float32; and in TF32, bfloat16 and with XLA.
    "agreement": "agreement:compare_float32",
    "agreement_reduced": "agreement:compare_reduced",
    # Killed and resumed, bit for bit.
    "resume": "trainings:resume_killed",
    # python -m pytest -m gpu
    "tests": "trainings:run_tests",
    # The train step of several sizes compared with PyTorch's.
    "speed_default": "speed:measure_size",
    "speed_dcgan64": "speed:measure_size",
    "speed_tutorial": "speed:measure_size",
    "speed_dcgan128": "speed:measure_size",
    # What reproducible kernels cost.
    "determinism": "speed:measure_determinism",
    # What the input pipeline delivers, and with batches copied ahead.
    "input": "pipeline:measure_input",
    # What the card spends the time of a step on.
    "profile": "trace:profile",
    # The default run's distance to the test split.
    "distance": "trainings:evaluate_default",
    # What two cores cannot do, for as long as there is time.
    "celeba": "trainings:train_celeba",
    "cifar10": "trainings:train_cifar10",
}


@dataclasses.dataclass(frozen=True)
class Context:
    """What a part is told.

    Attributes:
        name: The part's name.
        small: Whether this is a small trial on a CPU.
        out: Folder of pictures and other files that are kept.
        work: Folder that all parts of a run share.
        data: Folder of ZIP files of pictures.
        torch_python: A Python that has PyTorch, or empty.
        deadline: Time of time.monotonic() by which the part must have ended.
        result: File that the findings are written to.
    """

    name: str
    small: bool
    out: pathlib.Path
    work: pathlib.Path
    data: pathlib.Path
    torch_python: str
    deadline: float
    result: pathlib.Path

    def save(self, findings: dict[str, Any]) -> None:
        """Writes what was found so far, so that it outlives this process."""
        temporary = self.result.with_suffix(".tmp")
        temporary.write_text(json.dumps(findings))
        temporary.replace(self.result)

    def keep(self, path: pathlib.Path, name: str) -> None:
        """Copies a file to the folder of what is kept."""
        shutil.copyfile(path, self.out / name)

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


@functools.cache
def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def device_name() -> str:
    """The device that parts compute on, for tf.device."""
    return "GPU:0" if has_gpu() else "CPU:0"


def main() -> None:
    start = time.monotonic()
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PARTS)
    for option in ("result", "out", "work", "data"):
        parser.add_argument(f"--{option}", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--torch_python", default=sys.executable)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    context = Context(
        name=arguments.name,
        small=arguments.small,
        out=arguments.out,
        work=arguments.work,
        data=arguments.data,
        torch_python=arguments.torch_python,
        deadline=start + arguments.seconds,
        result=arguments.result,
    )
    module, function = PARTS[context.name].split(":")
    context.save(getattr(importlib.import_module(f"tests.gpu.{module}"), function)(context))


if __name__ == "__main__":
    main()
