"""How speed and memory grow with batches, images and steps: python -m tests.benchmarks.growth --out=docs/images

Runs train steps of the default networks on noise, each setting in a process of its own. Measures speed and memory by
batch size and by image size, and, with smaller networks, memory by the number of images and by the number of steps.
Prints tables and draws performance_growth.png. About five minutes on two cores, 1 GB of disk.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags
from tqdm import tqdm

from dcgan_tf.cli import command_line

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 5.0
SMALL = {"generator_filters": "8", "discriminator_filters": "8"}
BATCH_SIZES = (8, 16, 32, 64, 128, 256)
IMAGE_SIZES = (28, 32, 48, 64, 96, 128)
IMAGE_COUNTS = (1_000, 10_000, 100_000, 1_000_000)
STEPS = 2_000
MEMORY_EVERY = 100


def define_flags() -> None:
    flags.DEFINE_string("out", "docs/images", "Folder of the picture.")
    flags.DEFINE_string("child", "", "Settings of one measurement as JSON; used by the command itself.")


def measure(settings: dict[str, Any], images: int | None, steps: int) -> dict[str, Any]:
    """Trains for a while in this process.

    Args:
        settings: Settings of the configuration.
        images: Number of images in the data set; None for as many as the benchmark uses.
        steps: Minimum number of steps. Training takes at least SECONDS.

    Returns:
        images_per_second; peak_memory_bytes; memory_bytes, a list of (step, resident bytes).
    """
    from dcgan_tf.benchmarking import machine
    from dcgan_tf.benchmarking.measure import endless_batches, train
    from dcgan_tf.benchmarking.workload import make_synthetic_data
    from dcgan_tf.config.making import make_config
    from dcgan_tf.training.gan import GAN

    config = make_config({"channels": "1", **settings})
    with tempfile.TemporaryDirectory() as folder:
        data = make_synthetic_data(config, pathlib.Path(folder), images)
        gan, batches = GAN(config), endless_batches(data, config)
        train(gan, batches, 1)
        done, memory, start = 0, [], time.perf_counter()
        while done < steps or time.perf_counter() - start < SECONDS:
            train(gan, batches, 1)
            done += 1
            if done % MEMORY_EVERY == 0:
                memory.append((done, machine.memory_bytes()))
        seconds = time.perf_counter() - start
    return {
        "images_per_second": done * config.batch_size / seconds,
        "peak_memory_bytes": machine.peak_memory_bytes(),
        "memory_bytes": memory,
    }


def in_a_process(settings: dict[str, Any], images: int | None = None, steps: int = 3) -> dict[str, Any]:
    """`measure` in a process of its own, so that peaks do not mix."""
    arguments = json.dumps({"settings": settings, "images": images, "steps": steps})
    result = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.growth", f"--child={arguments}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def measure_all() -> dict[str, dict[str, dict[str, Any]]]:
    jobs: list[tuple[str, Any, dict[str, Any]]] = [
        *(("batch size", size, {"settings": {"image_size": "28", "batch_size": size}}) for size in BATCH_SIZES),
        *(("image size", size, {"settings": {"image_size": str(size), "batch_size": 32}}) for size in IMAGE_SIZES),
        *(
            ("images", count, {"settings": {"image_size": "28", **SMALL}, "images": count, "steps": 300})
            for count in IMAGE_COUNTS
        ),
        ("steps", STEPS, {"settings": {"image_size": "28", **SMALL}, "steps": STEPS}),
    ]
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, value, job in tqdm(jobs, mininterval=0.5):
        results.setdefault(kind, {})[str(value)] = in_a_process(**job)
    return results


def draw(results: dict[str, dict[str, dict[str, Any]]], path: pathlib.Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    (speed_batch, speed_size, memory_images), (memory_batch, memory_size, memory_steps) = figure.subplots(2, 3)
    for kind, speed, memory, label in (
        ("batch size", speed_batch, memory_batch, "batch size, at 28 pixels"),
        ("image size", speed_size, memory_size, "pixels a side, batch 32"),
    ):
        values = [int(value) for value in results[kind]]
        speed.plot(values, [result["images_per_second"] for result in results[kind].values()], "o-")
        speed.set(ylabel="images/s", xlabel=label)
        memory.plot(values, [result["peak_memory_bytes"] / 2**20 for result in results[kind].values()], "o-")
        memory.set(ylabel="peak memory, MiB", xlabel=label)
    counts = [int(value) for value in results["images"]]
    memory_images.semilogx(counts, [r["peak_memory_bytes"] / 2**20 for r in results["images"].values()], "o-")
    memory_images.set(ylabel="peak memory, MiB", xlabel="images in the data set")
    steps, memory_bytes = zip(*results["steps"][str(STEPS)]["memory_bytes"], strict=True)
    memory_steps.plot(steps, [value / 2**20 for value in memory_bytes])
    memory_steps.set(ylabel="memory, MiB", xlabel="steps")
    for axes in figure.axes:
        axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def run() -> None:
    if FLAGS.child:
        print(json.dumps(measure(**json.loads(FLAGS.child))))
        return
    results = measure_all()
    path = pathlib.Path(FLAGS.out, "performance_growth.png")
    draw(results, path)
    for kind, values in results.items():
        print(f"\n| {kind} | images/s | peak memory, MiB |\n|---|---|---|")
        for value, result in values.items():
            print(f"| {value} | {result['images_per_second']:,.0f} | {result['peak_memory_bytes'] / 2**20:,.0f} |")
    memory = [value for _, value in results["steps"][str(STEPS)]["memory_bytes"]]
    print(f"\nFrom step {MEMORY_EVERY} to {STEPS}: {(memory[-1] - memory[0]) / 2**20:+.1f} MiB")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.growth")
