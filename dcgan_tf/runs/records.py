"""The scalars of a run: metrics.jsonl, one JSON object per record."""

import errno
import functools
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from dcgan_tf import files
from dcgan_tf.errors import UserError
from dcgan_tf.progress import logger
from dcgan_tf.runs.run_directory import Run

# The metric that determines the best checkpoint.
QUICK_METRIC = "metric/frechet_distance[random-convolutions]"


class Means:
    """Means of scalars over all train steps since the last record, however many calls ran these steps.

    Attributes:
        sums: Sums by name, and the number of steps under ``steps``. Each checkpoint contains them, so that a resumed
            run logs the same means as an uninterrupted one.

    Args:
        sums: The sums in the checkpoint from which the run resumes.
    """

    def __init__(self, sums: Mapping[str, float]) -> None:
        self.sums = dict(sums)

    def add(self, means: Mapping[str, float], steps: int) -> None:
        """Adds the means of some steps."""
        for name, value in {**means, "steps": 1.0}.items():
            self.sums[name] = self.sums.get(name, 0.0) + steps * value

    def take(self) -> dict[str, float]:
        """Returns the means and starts again from zero."""
        steps = self.sums.pop("steps")
        means = {name: total / steps for name, total in self.sums.items()}
        self.sums = {}
        return means


class RecordFile:
    """Appends records to metrics.jsonl. Use it as a context manager, which closes the file at the end.

    Args:
        path: The file.
        first_step: The step at which this process starts. Later records, left by a killed process, are dropped.
    """

    def __init__(self, path: pathlib.Path, first_step: int) -> None:
        kept = [json.dumps(record) + "\n" for record in read_metrics(path) if record["step"] <= first_step]
        files.write_text(path, "".join(kept))
        self._path = path
        self._file = open(path, "ab", buffering=0)  # With a buffer, closing the file would repeat a failed write.

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one record; raises UserError if it cannot be written. `read_metrics` ignores an incomplete line."""
        line = json.dumps({"step": step, **values}).encode() + b"\n"
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise UserError(
                f"the record of step {step} cannot be written to '{self._path}' ({files.reason(error)}). "
                f"{files.way_on(error)} and repeat the command to resume"
            ) from None


def read_metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl. Damaged lines are left out and reported once."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    records = [_parse_record(line) for line in lines]
    # After the last newline there is nothing, or a line that was cut off when a process was killed.
    damaged = tuple(number for number, record in enumerate(records[:-1], start=1) if record is None)
    if damaged:
        _name_damaged_lines(path, damaged)
    return [record for record in records if record is not None]


def _parse_record(line: bytes) -> dict[str, Any] | None:
    """The scalars of a line and its int ``step``; None if the line is anything else."""
    try:
        record = json.loads(line)
        step, numbers = record.pop("step"), record.values()
        if type(step) is not int or not 0 <= step < 2**63 or not all(type(each) in (int, float) for each in numbers):
            return None
        return {"step": step, **{name: float(value) for name, value in record.items()}}
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
        return None


@functools.cache  # A file is read several times, but its damage is reported once.
def _name_damaged_lines(path: pathlib.Path, numbers: tuple[int, ...]) -> None:
    which = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    logger.warning("'%s' is damaged. Skipped %d of its lines: %s", path, len(numbers), which)


def metrics_at(run: Run, step: int) -> dict[str, float]:
    """The scalars of the record at a step; empty if there is none."""
    records = (record for record in read_metrics(run.metrics_file) if record.pop("step") == step)
    return next(records, {})


def best_step(metrics_file: pathlib.Path, steps: Iterable[int]) -> int | None:
    """The given step with the smallest recorded distance; None if none of them has a finite one."""
    records = (record for record in read_metrics(metrics_file) if math.isfinite(record.get(QUICK_METRIC, math.nan)))
    measured = {record["step"]: record[QUICK_METRIC] for record in records}
    candidates = [step for step in steps if step in measured]
    return min(candidates, key=lambda step: (measured[step], step), default=None)
