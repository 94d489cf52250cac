"""Writes the prepared array shard by shard, so that an interruption costs at most the shards in progress."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from dcgan_tf import files
from dcgan_tf.data.pictures import BadPictureError, NamedPicture, Recipe, make_row, memory_for

ROWS_PER_SHARD = 2048
BYTES_PER_SHARD = 32 * 2**20
HEADER_BYTES = 128


@dataclasses.dataclass(frozen=True)
class Shard:
    """The pictures ``first`` to ``stop - 1`` of a source."""

    first: int
    stop: int


def plan_shards(count: int, row_bytes: int) -> list[Shard]:
    """Divides pictures into shards of at most ROWS_PER_SHARD rows and BYTES_PER_SHARD bytes, but at least one row."""
    rows = max(1, min(ROWS_PER_SHARD, BYTES_PER_SHARD // row_bytes))
    return [Shard(first, min(first + rows, count)) for first in range(0, count, rows)]


Result = TypeVar("Result")
# The function that a source calls for each of its shards. It may run in another process, so it must be picklable.
ShardWork = Callable[[Shard, Iterable[NamedPicture]], Result]


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """The result of converting a shard: the labels of the rows written, and the bad files with the reasons."""

    shard: Shard
    labels: list[int]
    bad: list[tuple[str, str]]

    def save(self, directory: pathlib.Path) -> None:
        """Marks the shard as finished. Call it only once all rows are on disk."""
        files.write_json(_result_file(directory, self.shard), {"labels": self.labels, "bad": self.bad})


def convert_shard(
    shard: Shard, pictures: Iterable[NamedPicture], recipe: Recipe, rows_file: pathlib.Path
) -> ShardResult:
    """Writes the rows of a shard's usable pictures, each as soon as it is made.

    It writes to the file and not to a memory map, which would count as memory of the process.
    """
    labels: list[int] = []
    bad: list[tuple[str, str]] = []
    with open(rows_file, "r+b") as file:
        file.seek(HEADER_BYTES + shard.first * math.prod((recipe.height, recipe.width, recipe.channels)))
        for picture in pictures:
            try:
                with memory_for(picture.name):
                    row = make_row(picture.load(), recipe)
            except BadPictureError as error:
                bad.append((picture.name, str(error)))
                continue
            file.write(row.tobytes())
            labels.append(picture.label)
    return ShardResult(shard, labels, bad)


def load_results(directory: pathlib.Path, shards: Sequence[Shard]) -> dict[Shard, ShardResult]:
    """The results of the finished shards. A damaged result counts as unfinished."""
    results = {}
    for shard in shards:
        try:
            values = files.read_json(_result_file(directory, shard))
            result = ShardResult(shard, values["labels"], [(name, reason) for name, reason in values["bad"]])
            if len(result.labels) + len(result.bad) == shard.stop - shard.first:
                results[shard] = result
        except (FileNotFoundError, ValueError, TypeError, LookupError):
            continue
    return results


def write_header(path: pathlib.Path, shape: tuple[int, ...]) -> None:
    """Creates a uint8 ``.npy`` file, or changes the row count in its header. The rows start at HEADER_BYTES."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        assert file.tell() == HEADER_BYTES


def pack(path: pathlib.Path, results: Sequence[ShardResult], row_bytes: int) -> pathlib.Path:
    """Copies the rows into a file without the gaps that bad files left.

    The original file stays, because an interrupted preparation continues from it.
    """
    packed = path.with_suffix(".packed")
    with open(path, "rb") as source, open(packed, "wb") as target:
        target.write(source.read(HEADER_BYTES))
        for result in results:
            source.seek(HEADER_BYTES + result.shard.first * row_bytes)
            target.write(source.read(len(result.labels) * row_bytes))
    return packed


def remove_results(directory: pathlib.Path, results: Sequence[ShardResult]) -> None:
    """Removes the files that `ShardResult.save` wrote, once the whole array is finished."""
    for result in results:
        _result_file(directory, result.shard).unlink()


def _result_file(directory: pathlib.Path, shard: Shard) -> pathlib.Path:
    return directory / f"shard-{shard.first}.json"
