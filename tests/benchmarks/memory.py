"""How much memory training takes, and what --dry_run says: python -m tests.benchmarks.memory [--data_dir=FOLDER]

Runs `dcgan train` for a few steps, with an evaluation, the grids and the export. Each size runs in its own process, and
the kernel reports the peak. Longer training takes no more memory, as --steps shows. About two minutes on two cores.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from absl import flags
from PIL import Image

from dcgan_tf.cli import command_line

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).parents[2]
NOISE_PICTURES = 400


def define_flags() -> None:
    command_line.define_path("data_dir", "", "Folder of RGB pictures. Default: noise.")
    flags.DEFINE_list("sizes", ["28", "64", "128"], "Image sizes, each SIDE or HEIGHTxWIDTH.")
    flags.DEFINE_list("settings", [], "More settings, such as batch_size=16,penalty=r1.")
    flags.DEFINE_integer("steps", 6, "Train steps.")


def write_noise(folder: pathlib.Path) -> pathlib.Path:
    """Writes a folder of RGB pictures, which are resized to each of the sizes."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(NOISE_PICTURES):
        Image.fromarray(generator.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{number:03}.png")
    return folder


def measure(arguments: list[str]) -> tuple[float, float]:
    """Estimated and measured peak memory in MiB of ``dcgan train`` with the given flags."""
    command = [sys.executable, "-m", "dcgan_tf", "train", *arguments]
    planned = subprocess.run([*command, "--dry_run"], cwd=ROOT, capture_output=True, text=True)
    if planned.returncode:
        sys.exit(planned.stderr)
    found = re.search(r"^memory: about ([\d,]+) MiB", planned.stdout, re.MULTILINE)
    assert found is not None, planned.stdout
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(log.read().decode())
    return float(found[1].replace(",", "")), usage.ru_maxrss / 1024


def run() -> None:
    print("| image size | estimate, MiB | measured, MiB | estimate / measured |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = FLAGS.data_dir or write_noise(pathlib.Path(folder, "noise"))
        for number, size in enumerate(FLAGS.sizes):
            estimate, measured = measure(
                [
                    *("--dataset=folder", f"--data_dir={data}", f"--cache_dir={folder}/cache", f"--image_size={size}"),
                    *(f"--run_dir={folder}/run-{number}", f"--steps={FLAGS.steps}", f"--sample_every={FLAGS.steps}"),
                    *(f"--{setting}" for setting in FLAGS.settings),
                ]
            )
            print(f"| {size} | {estimate:,.0f} | {measured:,.0f} | {estimate / measured:.2f} |", flush=True)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.memory")
