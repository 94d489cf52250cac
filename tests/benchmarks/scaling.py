"""How a second worker speeds up training: python -m tests.benchmarks.scaling

Trains the default networks at 64x64 pixels in one process on one core, and in two workers on one core each, with the
same global batch. Half of the batch is also trained in one process, once alone, and once while a second process does
the same independently. This shows what is not due to communication: smaller batches are slower per image, and two cores
share one memory. The processor time of the threads shows where the rest of the time goes (Linux). Finally, three
workers with as many images each share the two cores. About eight minutes on two cores that nothing else uses.
"""

import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.runs.records import read_metrics
from dcgan_tf.training.gan import GAN
from tests.distributed.test_workers import free_addresses

ROOT = pathlib.Path(__file__).parents[2]
BATCH_SIZE = 64
CORES = 2
# No grid, checkpoint or export falls into the timed steps.
SETTINGS = {
    "dataset": "mnist",
    "split": "train[:2048]",
    "image_size": "64",
    "channels": "3",
    # docs/distributed.md and tests.benchmarks.step_time have the numbers of these two.
    "penalty": "none",
    "mixed_precision": False,
    "steps": 80,
    "steps_per_call": 20,
    "log_every": 20,  # The default is 50. The chief looks at samples with each log, while the other waits.
    "sample_every": 1000,
    "evaluate_every": 0,
    "checkpoint_every": 1000,
}


@dataclasses.dataclass
class Step:
    """Seconds per step of the first process: the whole step, and its processor time, which includes logging."""

    whole: float
    computing: float
    other_threads: float


def processor_seconds(process: int) -> tuple[float, float]:
    """Seconds that the threads which run operations have used the processor for, and those of all others."""

    def used(stat: pathlib.Path) -> float:
        user_and_system = stat.read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, user_and_system)) / os.sysconf("SC_CLK_TCK")

    folder = pathlib.Path("/proc", str(process))
    threads = [thread for thread in (folder / "task").iterdir() if "tf_Compute" in (thread / "comm").read_text()]
    computing = sum(used(thread / "stat") for thread in [*threads, folder / "task" / str(process)])
    return computing, used(folder / "stat") - computing


def cores(index: int, processes: int) -> str:
    """The cores of a process, as taskset expects them: one for each, or all of them for more processes than cores."""
    return str(index) if processes <= CORES else f"0-{CORES - 1}"


def measure_step(processes: int, batch_size: int, *, together: bool = False) -> Step:
    """Measures a step: the median over the calls after the first, which compiles, and the mean processor time.

    Each process has its own core, as far as there are enough, and its own run or, with ``together``, is a worker of a
    common run.
    """
    addresses = free_addresses(processes)
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--{name}={value}" for name, value in SETTINGS.items()] + [f"--batch_size={batch_size}"]
        started = []
        for index in range(processes):
            run = [f"--run_dir={folder}/{0 if together else index}"]
            if together:
                run += ["--strategy=multi_worker", f"--workers={','.join(addresses)}", f"--worker_index={index}"]
            command = ["taskset", "-c", cores(index, processes), sys.executable, "train.py", *flags, *run]
            started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        metrics_file = pathlib.Path(folder, "0", "metrics.jsonl")
        used = []
        for records in (1, SETTINGS["steps"] // SETTINGS["log_every"]):
            while len(read_metrics(metrics_file)) < records and started[0].poll() is None:
                time.sleep(0.01)
            if started[0].poll() is None:
                used.append(processor_seconds(started[0].pid))
        if max(process.wait() for process in started):
            raise RuntimeError(f"a run of {processes} processes failed")
        rates = [record["perf/steps_per_sec"] for record in read_metrics(metrics_file)[1:]]
    steps = SETTINGS["steps"] - SETTINGS["log_every"]
    return Step(1 / statistics.median(rates), *((after - before) / steps for before, after in zip(*used, strict=True)))


def main() -> None:
    config, _ = prepare(make_config(SETTINGS))
    gan = GAN(config)
    gradients = 4 * sum(
        v.shape.num_elements() for n in (gan.generator, gan.discriminator) for v in n.trainable_variables
    )
    half_batch = BATCH_SIZE // 2
    one, half = measure_step(1, BATCH_SIZE).whole, measure_step(1, half_batch).whole
    beside, two = measure_step(2, half_batch), measure_step(2, BATCH_SIZE, together=True)
    three = measure_step(3, 3 * half_batch, together=True).whole
    more = Step(*(b - a for a, b in zip(dataclasses.astuple(beside), dataclasses.astuple(two), strict=True)))
    waiting = more.whole - more.computing - more.other_threads
    print(f"one process, batch {BATCH_SIZE}: {one:.3f} s per step, {BATCH_SIZE / one:.1f} images/s")
    print(f"one process, batch {half_batch}: {half:.3f} s per step, {half_batch / half:.1f} images/s")
    print(f"two processes that share nothing, batch {half_batch} each: {beside.whole:.3f} s per step")
    print(f"two workers, {half_batch} each: {two.whole:.3f} s per step, {BATCH_SIZE / two.whole:.1f} images/s")
    print(f"three workers on {CORES} cores, {half_batch} each: {three:.3f} s per step")
    print(f"speed-up: {one / two.whole:.2f}, of at most {one / beside.whole:.2f} on these cores")
    print(
        f"of a step of two workers: {beside.whole:.3f} s for half of the batch, and {more.whole:.3f} s, of which "
        f"{more.computing:.3f} s more computation, {more.other_threads:.3f} s in threads that send and receive, "
        f"and {waiting:.3f} s waiting"
    )
    print(f"gradients: {gradients / 2**20:.1f} MiB per step, each network's in one piece")


if __name__ == "__main__":
    main()
