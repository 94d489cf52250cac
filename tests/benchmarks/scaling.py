"""How a second worker speeds up training: python -m tests.benchmarks.scaling

Trains the default networks at 64x64 pixels in one process on one core, and in two workers on one core each, with the
same global batch. Half of the batch in one process, alone and beside a second one that does the same without knowing of
it, shows what of the rest is no communication: smaller batches are slower an image, and two cores share a memory. About
ten minutes on two cores that nothing else uses.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile

from dcgan_tf.config import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.gan import GAN
from dcgan_tf.summaries import read_metrics
from tests.test_workers import free_addresses

ROOT = pathlib.Path(__file__).parents[2]
BATCH_SIZE = 64
# No grid, checkpoint or export falls into what is timed.
SETTINGS = {
    "dataset": "mnist",
    "split": "train[:2048]",
    "image_size": "64",
    "channels": "3",
    "steps": 80,
    "steps_per_call": 20,
    "log_every": 20,  # The default is 50. The chief looks at samples with each log, while the other waits.
    "sample_every": 1000,
    "evaluate_every": 0,
    "checkpoint_every": 1000,
}


def seconds_a_step(processes: int, batch_size: int, *, together: bool = False) -> float:
    """The median over the calls after the first, which compiles.

    Each process has a core, and a run of its own, or where ``together`` its part of one.
    """
    addresses = free_addresses(processes)
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--{name}={value}" for name, value in SETTINGS.items()] + [f"--batch_size={batch_size}"]
        started = []
        for index in range(processes):
            run = [f"--run_dir={folder}/{0 if together else index}"]
            if together:
                run += ["--strategy=multi_worker", f"--workers={','.join(addresses)}", f"--worker_index={index}"]
            command = ["taskset", "-c", str(index), sys.executable, "train.py", *flags, *run]
            started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        if max(process.wait() for process in started):
            raise RuntimeError(f"a run of {processes} processes failed")
        records = read_metrics(pathlib.Path(folder, "0", "metrics.jsonl"))[1:]
    return 1 / statistics.median(record["perf/steps_per_sec"] for record in records)


def main() -> None:
    config, _ = prepare(make_config(SETTINGS))
    gan = GAN(config)
    gradients = 4 * sum(
        v.shape.num_elements() for n in (gan.generator, gan.discriminator) for v in n.trainable_variables
    )
    half_batch = BATCH_SIZE // 2
    one, half = seconds_a_step(1, BATCH_SIZE), seconds_a_step(1, half_batch)
    beside, two = seconds_a_step(2, half_batch), seconds_a_step(2, BATCH_SIZE, together=True)
    print(f"one process, batch {BATCH_SIZE}: {one:.3f} s a step, {BATCH_SIZE / one:.1f} images/s")
    print(f"one process, batch {half_batch}: {half:.3f} s a step, {half_batch / half:.1f} images/s")
    print(f"two processes that share nothing, batch {half_batch} each: {beside:.3f} s a step")
    print(f"two workers, {half_batch} of {BATCH_SIZE} each: {two:.3f} s a step, {BATCH_SIZE / two:.1f} images/s")
    print(f"speed-up: {one / two:.2f}, of at most {one / beside:.2f} on these cores")
    print(f"of a step of two workers: {beside:.3f} s for half of the batch, {two - beside:.3f} s for sums and waiting")
    print(f"gradients: {gradients / 2**20:.1f} MiB a step, each network's in one piece")


if __name__ == "__main__":
    main()
