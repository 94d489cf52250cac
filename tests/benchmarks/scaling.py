"""How a second worker speeds up training: python -m tests.benchmarks.scaling

Trains the default networks at 64x64 pixels in one process on one core, and in two workers on one core each, with the
same global batch. A process that trains half of the batch alone shows what of the rest is no communication: smaller
batches are slower an image. About ten minutes on two cores that nothing else uses.
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


def seconds_a_step(workers: int, batch_size: int) -> float:
    """The median over the calls after the first, which compiles."""
    addresses = free_addresses(workers)
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--{name}={value}" for name, value in SETTINGS.items()]
        flags += [f"--batch_size={batch_size}", f"--run_dir={folder}/run"]
        processes = []
        for index in range(workers):
            cluster = ["--strategy=multi_worker", f"--workers={','.join(addresses)}", f"--worker_index={index}"]
            command = ["taskset", "-c", str(index), sys.executable, "train.py", *flags]
            if workers > 1:
                command += cluster
            processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        if max(process.wait() for process in processes):
            raise RuntimeError(f"a run of {workers} workers failed")
        speeds = [
            record["perf/steps_per_sec"] for record in read_metrics(pathlib.Path(folder, "run", "metrics.jsonl"))[1:]
        ]
    return 1 / statistics.median(speeds)


def main() -> None:
    config, _ = prepare(make_config(SETTINGS))
    gan = GAN(config)
    gradients = 4 * sum(
        v.shape.num_elements() for n in (gan.generator, gan.discriminator) for v in n.trainable_variables
    )
    one, half, two = seconds_a_step(1, BATCH_SIZE), seconds_a_step(1, BATCH_SIZE // 2), seconds_a_step(2, BATCH_SIZE)
    print(f"one process, batch {BATCH_SIZE}:       {one:.3f} s a step, {BATCH_SIZE / one:.1f} images/s")
    print(f"one process, batch {BATCH_SIZE // 2}:       {half:.3f} s a step, {BATCH_SIZE / 2 / half:.1f} images/s")
    print(f"two workers, {BATCH_SIZE // 2} of {BATCH_SIZE} each: {two:.3f} s a step, {BATCH_SIZE / two:.1f} images/s")
    print(f"speed-up: {one / two:.2f}")
    print(f"of a step of two workers: {half:.3f} s for half of the batch, {two - half:.3f} s for sums and waiting")
    print(f"gradients: {gradients / 2**20:.1f} MiB a step, each network's in one piece")


if __name__ == "__main__":
    main()
