"""The train step at the tutorial's layer sizes beside others': python -m tests.benchmarks.speed_comparison

Sides: our step, with its input pipeline; TensorFlow's tutorial as plain Keras with TensorFlow's default settings, with
oneDNN off (the default on CPUs without AVX-512) and on; and PyTorch eager, where some Python has it (pip install torch;
--torch_python names another one). Each side is a process that waits while the others are measured; in each round every
side runs a few steps, and the ratios are medians over the rounds. About six minutes on two cores.
"""

import os
import pathlib
import statistics
import subprocess
import sys

from absl import flags
from tqdm import tqdm

from dcgan_tf.cli import command_line

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).parents[2]
BATCH_SIZE = 256


def define_flags() -> None:
    flags.DEFINE_integer("rounds", 7, "Rounds.")
    flags.DEFINE_integer("steps", 3, "Train steps of each side in a round.")
    flags.DEFINE_string("torch_python", sys.executable, "A Python that has PyTorch; empty to leave it out.")


class Side:
    """One process that runs train steps when asked."""

    def __init__(self, name: str, command: list[str], one_dnn: str | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
        if one_dnn is not None:
            environment["TF_ENABLE_ONEDNN_OPTS"] = one_dnn
        self.name = name
        self.seconds: list[float] = []
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.description = self._read()

    def run(self, steps: int) -> float:
        """Seconds a step."""
        assert self._process.stdin
        print(steps, file=self._process.stdin, flush=True)
        return float(self._read()) / steps

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"error: {self.name} ended early")
        return line.removeprefix("ready ").strip()


def start_sides() -> list[Side]:
    tensorflow = [sys.executable, "-m", "tests.benchmarks.tensorflow_step"]
    sides = [
        Side("ours", [*tensorflow, "ours"], "1"),
        Side("tutorial, TensorFlow as installed", [*tensorflow, "tutorial"]),
        Side("tutorial, oneDNN off", [*tensorflow, "tutorial"], "0"),
        Side("tutorial, oneDNN on, D before G", [*tensorflow, "tutorial_in_our_order"], "1"),
    ]
    if FLAGS.torch_python:
        torch_step = str(pathlib.Path(__file__).with_name("torch_step.py"))
        sides.append(Side("PyTorch, eager", [FLAGS.torch_python, torch_step]))
    return sides


def run() -> None:
    sides = start_sides()
    with tqdm(total=(FLAGS.rounds + 1) * len(sides), mininterval=0.5, leave=False) as progress:
        for round_number in range(FLAGS.rounds + 1):
            for side in sides:
                seconds = side.run(FLAGS.steps)
                if round_number:  # The first one compiles and fills caches.
                    side.seconds.append(seconds)
                progress.update()
    for side in sides:
        side.close()
    ours = sides[0].seconds
    print(f"{len(os.sched_getaffinity(0))} cores, batch {BATCH_SIZE}, medians of {FLAGS.rounds} rounds by turns\n")
    print("| Train step | ms | range | images/s | times ours |\n|---|---|---|---|---|")
    for side in sides:
        middle = statistics.median(side.seconds)
        ratio = statistics.median(other / own for other, own in zip(side.seconds, ours, strict=True))
        low, high = min(side.seconds), max(side.seconds)
        print(
            f"| {side.name} ({side.description}) | {1000 * middle:,.0f} | {1000 * low:,.0f} to {1000 * high:,.0f} | "
            f"{BATCH_SIZE / middle:,.0f} | {ratio:.2f} |"
        )


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.speed_comparison")
