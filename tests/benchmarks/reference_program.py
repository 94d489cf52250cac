"""What the reference programs of the benchmark of quality share: their arguments, the clock, and the files of samples.

It imports nothing from the project, so that any Python can run it.
"""

import argparse
import pathlib
import time
from collections.abc import Callable

import numpy as np

SAMPLES = 10_000
PROGRESS_SECONDS = 10


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--images", required=True, help=".npy file of training images, uint8 [N, height, width, channels]"
    )
    parser.add_argument("--minutes", required=True, help="ascending minutes of training, such as 2,5,15")
    parser.add_argument("--out", required=True, help="folder for samples-2.npy and so on")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train_to_marks(
    options: argparse.Namespace, train_step: Callable[[], object], sample: Callable[[int], np.ndarray]
) -> None:
    """Trains, and writes samples at each mark. The clock includes compilation, and stops while samples are made.

    Args:
        options: From `parse_arguments`.
        train_step: Does one step, and waits for its end.
        sample: Makes that many samples, uint8 [N, height, width, channels].
    """
    trained, steps, shown = 0.0, 0, 0.0
    for mark in options.minutes.split(","):
        start = time.perf_counter()
        while (now := trained + time.perf_counter() - start) < 60 * float(mark):
            train_step()
            steps += 1
            if now - shown >= PROGRESS_SECONDS:
                shown = now
                print(f"{now:.0f} s, step {steps}", flush=True)
        trained += time.perf_counter() - start
        print(f"{float(mark):g} min: step {steps}", flush=True)
        np.save(pathlib.Path(options.out) / f"samples-{float(mark):g}.npy", sample(SAMPLES))
