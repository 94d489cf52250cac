"""Parquet files of an image data set, as Hugging Face distributes them, as a source."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.headers import HeaderFacts, Opener
from dcgan_tf.data.labels import sorted_classes
from dcgan_tf.data.listing import SPLIT_NAMES, SPLITS
from dcgan_tf.data.pictures import BadPictureError, Limits, NamedPicture, load_picture, open_picture
from dcgan_tf.data.processes import run_in_processes
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.data.store import DISK
from dcgan_tf.errors import UnknownSplitError, UserError, printable
from dcgan_tf.files import reason

if TYPE_CHECKING:
    import pyarrow as pa

ENDING = ".parquet"
READ_ROWS = 64
COMMON_SIZE_ROWS = 100  # Rows of each file that are opened to find out whether all pictures have the same size
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMN = "label"


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns that are used.

    Attributes:
        image: Contents of picture files: bytes, or a struct with the field ``bytes``.
        label: Classes; empty if there is none.
        names: The classes of the labels 0, 1, ..., as the files give them; empty if the labels are their own names.
    """

    image: str
    label: str = ""
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ParquetSource(HeaderFacts):
    """The rows of a split's files, in the order of the files' names, with the attributes of `Source`."""

    full_name: str
    class_names: tuple[str, ...]
    fingerprint: str
    paths: tuple[pathlib.Path, ...]
    rows: tuple[int, ...]
    columns: Columns
    limits: Limits
    notes: tuple[str, ...] = ()

    def _openers(self) -> Iterator[Opener]:
        return self._open_first(max(self.rows, default=0))

    def _sampled_openers(self) -> Iterator[Opener]:
        return self._open_first(COMMON_SIZE_ROWS)

    def _open_first(self, count: int) -> Iterator[Opener]:
        """Opens the first pictures of each file."""
        for path, rows in zip(self.paths, self.rows, strict=True):
            for _, content, _ in _read(path, 0, min(rows, count), self.columns):
                yield functools.partial(self._open, content)

    def _open(self, content: bytes | None) -> Image.Image:
        return open_picture(_contents(content), self.limits)

    def count_if_known(self) -> int:
        """The number of rows, which is always known."""
        return sum(self.rows)

    def prepare(self) -> None:
        """Does nothing: the files are already there."""

    def count(self) -> int:
        """The number of rows."""
        return sum(self.rows)

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard, in parallel on all cores, and yields the results in any order."""
        names = map(str, range(len(self.class_names))) if self.columns.names else self.class_names
        numbers = {name: number for number, name in enumerate(names)}
        job = functools.partial(_work_on_rows, work, columns=self.columns, numbers=numbers, limits=self.limits)
        return run_in_processes([functools.partial(job, shard, self._parts(shard)) for shard in shards])

    def _parts(self, shard: Shard) -> list[tuple[pathlib.Path, int, int]]:
        """The files in which a shard lies, each with its first row there and the row after its last."""
        parts, begin = [], 0
        for path, rows in zip(self.paths, self.rows, strict=True):
            first, stop = max(0, shard.first - begin), min(rows, shard.stop - begin)
            if first < stop:
                parts.append((path, first, stop))
            begin += rows
        return parts


def find_parquet(config: Config) -> ParquetSource:
    """Finds the files of a split of ``config.data_dir``: one parquet file, or a folder of them.

    Raises:
        UserError: There are no such files or split, or the files have no column of images.
    """
    if not config.data_dir:
        raise UserError("`dataset=parquet`: name the parquet file, or the folder of your files, with `data_dir`")
    folder = pathlib.Path(config.data_dir).expanduser()
    files = parquet_files(folder)
    if not files:
        raise UserError(
            f"`data_dir`: expected a file that ends in {ENDING}, or a folder of such files. "
            f"Received: '{config.data_dir}'"
        )
    paths, notes = _choose_split(folder, files, config.split)
    training = paths
    with contextlib.suppress(UnknownSplitError):
        training, _ = _choose_split(folder, files, "train")
    columns = _find_columns(paths[0])
    rows = tuple(_open(path, columns).metadata.num_rows for path in paths)
    class_names = config.class_names or columns.names or _distinct_labels(training, columns)
    digest = hashlib.sha256(ascii((columns, class_names)).encode())
    for path in paths:
        digest.update(ascii((os.path.realpath(path), DISK.facts(os.fspath(path)))).encode())
    return ParquetSource(
        full_name=f"parquet/{printable(folder.resolve().name)}",
        class_names=class_names if len(class_names) > 1 else (),
        fingerprint=digest.hexdigest()[:16],
        paths=tuple(paths),
        rows=rows,
        columns=columns,
        limits=Limits.of(config),
        notes=tuple(notes),
    )


def parquet_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The parquet files below a folder, or the file itself, sorted. Hidden files and folders are skipped."""
    if folder.is_file():
        return [folder] if folder.suffix == ENDING else []
    found = (path for path in folder.rglob(f"*{ENDING}") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _choose_split(
    folder: pathlib.Path, files: Sequence[pathlib.Path], split: str
) -> tuple[list[pathlib.Path], list[str]]:
    """The files of a split, and notes for the user. Without a split in any name, all files are for training."""
    splits = {path: _split_of(path, folder) for path in files}
    known = sorted({name for name in splits.values() if name})
    wanted = {split, *SPLITS.get(split, ())} if known else {""}
    chosen = [path for path in files if splits[path] in wanted]
    if not chosen or (not known and split != "train"):
        has = f"It has {', '.join(known)}" if known else "Its files name no splits, so all are for training"
        raise UnknownSplitError(f"`split`: '{folder}' has no files of the split {split!r}. {has}")
    unnamed = [path for path in files if known and not splits[path]]
    if not unnamed:
        return chosen, []
    return chosen, [f"left out because their names have no split: {len(unnamed)} files, such as '{unnamed[0]}'"]


def _split_of(path: pathlib.Path, folder: pathlib.Path) -> str:
    """The split in a file's name, such as ``train-00000-of-00002.parquet``, or in its folder's; empty if none."""
    beginning = re.split(r"[-_.]", path.stem, maxsplit=1)[0]
    below = path.relative_to(folder).parts[:-1] if path != folder else ()
    return next((name.lower() for name in (beginning, *reversed(below)) if name.lower() in SPLIT_NAMES), "")


def _find_columns(path: pathlib.Path) -> Columns:
    import pyarrow as pa

    schema = _open(path).schema_arrow
    features = _features(schema)
    images = [
        field.name
        for field in schema
        if _holds_bytes(field.type)
        or (pa.types.is_struct(field.type) and any(part.name == "bytes" for part in field.type))
    ]
    declared = [name for name in images if features.get(name, {}).get("_type") == "Image"]
    usual = [name for name in IMAGE_COLUMNS if name in images]
    image = next(iter(declared or usual or (images if len(images) == 1 else [])), None)
    if image is None:
        has = ", ".join(f"{field.name} ({str(field.type)[:40]})" for field in schema)
        raise UserError(
            f"`data_dir`: expected a column of images in bytes, such as image. '{path}' has: {printable(has)}"
        )
    for name, feature in features.items():
        if feature.get("_type") == "ClassLabel" and name in schema.names:
            return Columns(image, name, tuple(map(str, feature.get("names") or ())))
    if LABEL_COLUMN in schema.names:
        kind = schema.field(LABEL_COLUMN).type
        if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return Columns(image, LABEL_COLUMN)
    return Columns(image)


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _features(schema: "pa.Schema") -> dict[str, dict[str, Any]]:
    """The description of the columns that Hugging Face's library stored in the file; empty if there is none."""
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    return {}


def _distinct_labels(paths: Sequence[pathlib.Path], columns: Columns) -> tuple[str, ...]:
    if not columns.label:
        return ()
    values = {
        value
        for path in paths
        for value in _open(path, columns).read(columns=[columns.label]).column(0).unique().to_pylist()
    }
    # In test data, -1 often stands for an unknown class.
    return sorted_classes(str(value) for value in values if value not in (None, -1))


def _open(path: pathlib.Path, columns: Columns | None = None) -> Any:
    """Opens a parquet file.

    Raises:
        UserError: It cannot be read, or one of the columns is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"`data_dir`: cannot read the parquet file '{path}': {reason(error)}") from None
    if columns:
        missing = [name for name in (columns.image, columns.label) if name and name not in file.schema_arrow.names]
        if missing:
            raise UserError(f"`data_dir`: '{path}' has no column {missing[0]!r}, unlike the other files")
    return file


def _read(
    path: pathlib.Path, first: int, stop: int, columns: Columns
) -> Iterator[tuple[int, bytes | None, int | str | None]]:
    """Yields the number, the picture and the label of each row from ``first`` to ``stop - 1`` of a file."""
    import pyarrow as pa

    file, begin = _open(path, columns), 0
    names = [name for name in (columns.image, columns.label) if name]
    try:
        for group in range(file.num_row_groups):
            end = begin + file.metadata.row_group(group).num_rows
            if begin < stop and first < end:
                row = begin
                for batch in file.iter_batches(READ_ROWS, [group], names, use_threads=False):
                    images = batch.column(columns.image)
                    images = images.field("bytes") if pa.types.is_struct(images.type) else images
                    for position in range(max(first - row, 0), min(stop - row, len(batch))):
                        label = batch.column(columns.label)[position].as_py() if columns.label else None
                        yield row + position, images[position].as_py(), label
                    row += len(batch)
            begin = end
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"cannot read the parquet file '{path}': {reason(error)}. Restore it and repeat") from None
    if begin < stop:
        raise UserError(f"the parquet file '{path}' was replaced while it was in use. Repeat the command")


def _work_on_rows(
    work: ShardWork[Result],
    shard: Shard,
    parts: Sequence[tuple[pathlib.Path, int, int]],
    columns: Columns,
    numbers: dict[str, int],
    limits: Limits,
) -> Result:
    return work(
        shard,
        (
            NamedPicture(
                printable(f"{path.name} row {row}"),
                numbers.get(str(label), -1),
                functools.partial(_load, image, limits),
            )
            for path, first, stop in parts
            for row, image, label in _read(path, first, stop, columns)
        ),
    )


def _load(content: bytes | None, limits: Limits) -> Image.Image:
    return load_picture(_contents(content), limits)


def _contents(content: bytes | None) -> io.BytesIO:
    if content is None:
        raise BadPictureError("no bytes")
    return io.BytesIO(content)
