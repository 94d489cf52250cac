"""How preparation time and training memory grow with a folder: python -m tests.benchmarks.data_scale

Makes folders of 60,000 and of 1,000,000 pictures (a thousand different ones of 28x28 pixels, under many names by hard
links), prepares each, and trains tiny networks for a whole epoch. About ten minutes on two cores, 2 GB of disk.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
COUNTS = (60_000, 1_000_000)
DIFFERENT = 1000
BATCH_SIZE = 64


def make_folder(folder: pathlib.Path, count: int) -> None:
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // DIFFERENT:04}" / f"{number:07}.png"
        if number % DIFFERENT == 0:
            path.parent.mkdir(parents=True)
        if number < DIFFERENT:
            Image.fromarray(random.integers(0, 256, (28, 28, 3), np.uint8)).save(path)
        else:
            os.link(folder / "0000" / f"{number % DIFFERENT:07}.png", path)


def train(folder: pathlib.Path, run: pathlib.Path, steps: int) -> tuple[float, float]:
    """The seconds of a run, and the largest resident memory of any of its processes in MiB."""
    command = [
        sys.executable, "train.py", "--dataset=folder", f"--data_dir={folder}", f"--run_dir={run}", f"--steps={steps}",
        f"--batch_size={BATCH_SIZE}", "--generator_filters=2", "--discriminator_filters=2", "--log_every=1000",
        "--sample_every=100000", "--checkpoint_every=100000",
    ]  # fmt: skip
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    assert isinstance(usage, resource.struct_rusage)
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main() -> None:
    memory = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as temporary:
            folder, run = pathlib.Path(temporary, "folder"), pathlib.Path(temporary, "run")
            os.environ["XDG_CACHE_HOME"] = temporary
            make_folder(folder, count)
            first, preparing_memory = train(folder, run, steps=1)
            rest, training_memory = train(folder, run, steps=count // BATCH_SIZE)
            memory[count] = training_memory
            print(
                f"{count:,} images: prepared and started in {first:.0f} s ({preparing_memory:.0f} MiB), "
                f"an epoch trained in {rest:.0f} s ({training_memory:.0f} MiB)",
                flush=True,
            )
    growth = memory[COUNTS[1]] - memory[COUNTS[0]]
    assert growth < 300, f"{growth:.0f} MiB more for the larger data set"


if __name__ == "__main__":
    main()
