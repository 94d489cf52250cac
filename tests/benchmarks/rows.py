"""What the measuring commands share: training that stops at marks, and files of rows that survive an interruption."""

import json
import pathlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData
from dcgan_tf.training.gan import GAN


def train_to_marks(
    gan: GAN, data: ImageData | PointData, marks: Sequence[int], seconds: float = float("inf")
) -> Iterator[tuple[int, float]]:
    """Trains until the last mark, or until the time is up.

    Args:
        gan: A GAN that has not been trained.
        data: Training data.
        marks: Steps, ascending, at which to yield.
        seconds: Seconds of training after which to yield once more and stop.

    Yields:
        The step, and the seconds of training so far. The clock stops while the first step compiles, and while
        the caller measures.
    """
    batches = iter(make_batches(data, gan.config, 0, marks[-1]))
    gan.train_steps(batches, tf.constant(1))
    step, trained = 1, 0.0
    for mark in marks:
        start = time.perf_counter()
        while step < mark and trained + time.perf_counter() - start < seconds:
            count = min(gan.config.steps_per_call, mark - step)
            metrics, _ = gan.train_steps(batches, tf.constant(count))
            if not np.isfinite(list(map(float, metrics.values()))).all():
                raise FloatingPointError(f"not finite after step {step}")
            step += count
        trained += time.perf_counter() - start
        yield step, trained
        if trained >= seconds:
            return


class Rows:
    """The rows of a results file, one JSON object per line. A later row replaces one with the same key.

    A full disk or a power failure can leave half a line. Such a line is skipped, so its row is measured again.

    Args:
        path: The file. The Markdown table is written next to it.
        key: Names of the values that tell rows apart.
    """

    def __init__(self, path: str, key: Sequence[str]) -> None:
        self._path = pathlib.Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._key = key
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        text = self._path.read_text(errors="replace") if self._path.exists() else ""
        for number, line in enumerate(text.splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, dict):
                self._keep(row)
            else:
                print(f"{path}: line {number} is not a JSON object: skipped, its row is measured again", flush=True)
        if text and not text.endswith("\n"):
            with open(self._path, "a") as file:
                file.write("\n")

    def add(self, **row: Any) -> None:
        """Writes a row at once."""
        print(json.dumps(row), flush=True)
        with open(self._path, "a") as file:
            file.write(json.dumps(row) + "\n")
        self._keep(row)

    def matching(self, **values: Any) -> list[dict[str, Any]]:
        """The rows with these values, in the order in which they were first written."""
        return [row for row in self._rows.values() if all(row[name] == value for name, value in values.items())]

    def has_run(self, last_step: int, seconds: float, **values: Any) -> bool:
        """Whether a training run with these values reached the last step, or trained for that long."""
        return any(row["step"] >= last_step or row["seconds"] >= seconds for row in self.matching(**values))

    def write_table(self, heads: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
        """Writes a Markdown table next to the rows, and prints it."""
        table = [heads, ["---"] * len(heads), *lines]
        text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in table)
        files.write_text(self._path.with_suffix(".md"), text + "\n")
        print(f"\n{text}")

    def _keep(self, row: dict[str, Any]) -> None:
        self._rows[tuple(row[name] for name in self._key)] = row


def spread(values: Iterable[float]) -> str:
    """Mean and standard deviation over seeds; the value alone if there is only one."""
    numbers = np.array(list(values), float)
    if not len(numbers):
        return ""
    deviation = f" ± {numbers.std(ddof=1):.2g}" if len(numbers) > 1 else ""
    return f"{numbers.mean():.4g}{deviation}"


def ascending(texts: Iterable[str]) -> list[int]:
    """Typed marks as sorted integers: ["500", "1000"] -> [500, 1000]."""
    return sorted(int(text) for text in texts)
