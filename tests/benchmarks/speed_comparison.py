"""The training step compared with TensorFlow's tutorial and PyTorch: python -m tests.benchmarks.speed_comparison

With --size=tutorial, the networks are those of the tutorial, with batches of 256. The sides are our step with its input
pipeline, in float32 and in bfloat16; the tutorial's own code in plain Keras, with TensorFlow as installed and with
oneDNN off (the default on CPUs without AVX-512); the same with our order of updates; and PyTorch, eager and compiled,
in float32 and in bfloat16 (autocast), if some Python has it (pip install torch; --torch_python names another one). With
--size=dcgan64, the networks are the preset `dcgan`'s for RGB images of 64x64, with batches of 64, without the tutorial.

Each side is a process that waits while the others are measured. In each round every side runs a few steps, and the
ratios are medians over the rounds. It takes about ten minutes on two cores.
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
BATCH_SIZES = {"tutorial": 256, "dcgan64": 64}


def define_flags() -> None:
    flags.DEFINE_enum("size", "tutorial", list(BATCH_SIZES), "Networks and image size.")
    flags.DEFINE_integer("rounds", 7, "Rounds.")
    flags.DEFINE_integer("steps", 3, "Training steps of each side per round.")
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
        """Seconds per step."""
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
    sides = [Side(f"ours, {dtype}", [*tensorflow, FLAGS.size, dtype], "1") for dtype in ("float32", "bfloat16")]
    if FLAGS.size == "tutorial":
        sides += [
            Side("tutorial, TensorFlow as installed", [*tensorflow, "keras"]),
            Side("tutorial, oneDNN off", [*tensorflow, "keras"], "0"),
            Side("tutorial, oneDNN on, D before G", [*tensorflow, "keras_in_our_order"], "1"),
        ]
    if FLAGS.torch_python:
        torch_step = [FLAGS.torch_python, str(pathlib.Path(__file__).with_name("torch_step.py"))]
        torch_step += [f"--size={FLAGS.size}", f"--batch_size={BATCH_SIZES[FLAGS.size]}"]
        for dtype in ("float32", "bfloat16"):
            sides.append(Side(f"PyTorch, {dtype}", [*torch_step, f"--dtype={dtype}"]))
            sides.append(Side(f"PyTorch, {dtype}", [*torch_step, f"--dtype={dtype}", "--compile"]))
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
    batch_size = BATCH_SIZES[FLAGS.size]
    cores = len(os.sched_getaffinity(0))
    print(f"{FLAGS.size}, {cores} cores, batch {batch_size}, medians of {FLAGS.rounds} alternating rounds\n")
    print("| Training step | ms | range | images/s | relative to ours in float32 | in bfloat16 |")
    print("|---|---|---|---|---|---|")
    for side in sides:
        middle, low, high = statistics.median(side.seconds), min(side.seconds), max(side.seconds)
        ratios = [
            statistics.median(other / own for other, own in zip(side.seconds, ours.seconds, strict=True))
            for ours in sides[:2]
        ]
        print(
            f"| {side.name} ({side.description}) | {1000 * middle:,.0f} | {1000 * low:,.0f} to {1000 * high:,.0f} | "
            f"{batch_size / middle:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.speed_comparison")
