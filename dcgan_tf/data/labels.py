"""Reads the class of each picture from a file next to the pictures: labels.csv, or StyleGAN's dataset.json."""

import csv
import dataclasses
import io
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from dcgan_tf.data.store import Store
from dcgan_tf.errors import UserError, printable

LABELS_CSV = "labels.csv"
DATASET_JSON = "dataset.json"
COLUMNS = ("file", "label")
MAX_BYTES = 2**30
NAMED = 3  # Maximum number of names that a message lists


@dataclasses.dataclass(frozen=True)
class LabelFile:
    """The contents of a labels file.

    Attributes:
        path: The file.
        classes: The class of each picture of a split, by its path relative to the folder of the split. None if the
            file says that there are no classes.
    """

    path: pathlib.Path
    classes: dict[str, str] | None

    def refuse_other_pictures(self, names: Sequence[str]) -> None:
        """Raises UserError unless the file names exactly these pictures."""
        if self.classes is None:
            return
        pictures = set(names)
        absent = [name for name in self.classes if name not in pictures]
        if absent:
            raise UserError(
                f"'{self.path}' names {_count(absent, 'file')} that cannot be found among the pictures: "
                f"{_some(absent)}. Correct the file, or restore the pictures"
            )
        unlabeled = [name for name in names if name not in self.classes]
        if unlabeled:
            raise UserError(
                f"'{self.path}' has no label for {_count(unlabeled, 'picture')}: {_some(unlabeled)}. Add the labels, "
                "or move the pictures to another folder"
            )


def find_labels(store: Store, root: pathlib.Path, folder: pathlib.Path) -> LabelFile | None:
    """Reads the labels file of a split, if there is one.

    Args:
        store: Where the pictures lie.
        root: The folder of the split. A file there takes precedence.
        folder: The folder of the data set. In a file there, the paths begin with the folder of the split.

    Raises:
        UserError: The file cannot be used.
    """
    for place in dict.fromkeys((root, folder)):
        for name, read in READERS.items():
            path = place / name
            try:
                content = store.read_start(path, MAX_BYTES + 1)
            except OSError:
                continue
            except ValueError as error:
                raise UserError(f"cannot read the labels in '{path}': {error}") from None
            if len(content) > MAX_BYTES:
                raise UserError(f"cannot read the labels in '{path}': it has more than {MAX_BYTES:,} bytes")
            try:
                rows = read(content.decode("utf-8-sig"))
                classes = None if rows is None else _collect(rows)
            except (ValueError, csv.Error, RecursionError) as error:
                raise UserError(
                    f"cannot read the labels in '{path}': {error}. Correct the file, or rename it if it does not "
                    "describe these pictures"
                ) from None
            if classes is not None and place != root:
                prefix = os.path.relpath(root, place) + os.sep
                classes = {
                    name.removeprefix(prefix): label for name, label in classes.items() if name.startswith(prefix)
                }
            return LabelFile(path, classes)
    return None


def sorted_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels, in numerical order if all are numbers, otherwise in alphabetical order."""
    names = set(labels)
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _read_csv(text: str) -> Iterator[tuple[str, str]]:
    header = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)  # The delimiter that spreadsheets write depends on the country.
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    columns = [column.strip().lower() for column in next(reader, [])]
    if not set(COLUMNS).issubset(columns):
        found = ", ".join(columns) or "an empty file"
        raise ValueError(f"expected the columns {' and '.join(COLUMNS)}. Received: {printable(found)}")
    for row in reader:
        if row:
            values = dict(zip(columns, row, strict=False))
            file, label = (values.get(column, "").strip() for column in COLUMNS)
            if not file or not label:
                raise ValueError(
                    f"line {reader.line_num}: expected a file and a label. Received: {delimiter.join(row)}"
                )
            yield file, label


def _read_json(text: str) -> Iterator[tuple[str, str]] | None:
    values = json.loads(text)
    if not isinstance(values, dict) or "labels" not in values:
        raise ValueError('expected an object with "labels"')
    return None if values["labels"] is None else _json_rows(values["labels"])


def _json_rows(labels: object) -> Iterator[tuple[str, str]]:
    for row in labels if isinstance(labels, list) else [labels]:
        file, label = row if isinstance(row, list) and len(row) == 2 else (None, None)
        if not isinstance(file, str) or type(label) is not int or label < 0:
            raise ValueError(f'expected pairs such as ["00000/img00000000.png", 6]. Received: {str(row)[:100]}')
        yield file, str(label)


READERS: dict[str, Callable[[str], Iterator[tuple[str, str]] | None]] = {
    LABELS_CSV: _read_csv,
    DATASET_JSON: _read_json,
}


def _collect(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    classes: dict[str, str] = {}
    for file, label in rows:
        name = os.path.normpath(file.replace("\\", "/"))
        if name.startswith("/") or name.split("/")[0] == "..":
            raise ValueError(f"expected paths below its folder. Received: '{printable(file)}'")
        if name in classes:
            raise ValueError(f"it lists '{printable(name)}' twice")
        classes[name] = label
    return classes


def _count(names: Sequence[str], noun: str) -> str:
    return f"{len(names):,} {noun}{'s' * (len(names) != 1)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(f"'{printable(name)}'" for name in names[:NAMED]) + more
