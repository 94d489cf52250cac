"""Real training images as a program of the benchmark of quality: what PyTorch's example could score at best.

python -m dcgan_tf quality --minutes=2 --results=enlarged.jsonl --name="Enlarged real images"
--program="PYTHON_WITH_PYTORCH -m tests.benchmarks.enlarged_images". It does not train. It enlarges the images as the
example does, and the judge resizes them back as it does with the example's samples.
"""

import pathlib

import numpy as np

from tests.benchmarks.pytorch_example import enlarge
from tests.benchmarks.reference_program import SAMPLES, parse_arguments


def main() -> None:
    options = parse_arguments()
    images = np.load(options.images)
    chosen = np.random.default_rng(options.seed).permutation(len(images))[:SAMPLES]
    samples = enlarge(images[chosen]).permute(0, 2, 3, 1).numpy()
    for mark in options.minutes.split(","):
        np.save(pathlib.Path(options.out) / f"samples-{float(mark):g}.npy", samples)


if __name__ == "__main__":
    main()
