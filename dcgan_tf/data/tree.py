"""The contents of a folder tree: the user's pictures, other files, and what this program made there."""

import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

from PIL import Image

from dcgan_tf.data.labels import DATASET_JSON, LABELS_CSV
from dcgan_tf.data.pictures import ENDINGS
from dcgan_tf.data.store import DISK, OnError, Store
from dcgan_tf.errors import UserError

MORE_ENDINGS = frozenset({".jfif", ".jpe"})  # Also JPEG files
# First bytes of the pictures that are recognized if their name has no ending.
SIGNATURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|BM.{4}\0{4}|RIFF.{4}WEBP", re.DOTALL)
SIGNATURE_BYTES = 12
CONFIG_BYTES = 2**20  # More than any config.json of a run
# Folders of operating systems and network storage, in lower case. Hidden folders are left out anyway.
SYSTEM_FOLDERS = frozenset(
    {
        "@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", "__macosx", "__pycache__", "$recycle.bin", "lost+found",
        "system volume information",
    }
)  # fmt: skip
# Marks the pictures that this program makes, so that a sheet of samples is not used as data.
SOFTWARE = "dcgan_tf"
CONTACT_SHEET = "contact_sheet.png"  # Recognized by its name, because earlier releases did not mark it.


@dataclasses.dataclass
class Files:
    """The files below a folder.

    Attributes:
        names: The pictures, sorted by the parts of their paths.
        others: The number of files with each other ending.
        examples: One file with each of these endings.
        generated: What this program made: folders of runs and exports, and contact sheets.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    others: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)
    generated: list[str] = dataclasses.field(default_factory=list)


def list_files(root: pathlib.Path, store: Store = DISK, earlier: bool = False) -> Files:
    """Lists and classifies all files below a folder, except labels files.

    Hidden files, hidden folders and system folders are skipped. Symbolic links are followed, but no folder is entered
    twice, so a link to a parent folder does no harm.

    Args:
        root: The folder.
        store: Where it lies.
        earlier: Use the rules of earlier releases, which skipped hidden folders only and looked at endings only.
    """
    files = Files()
    left_out, generated = (frozenset[str](), None) if earlier else (SYSTEM_FOLDERS, files.generated)
    for folder, names in _walk(root, store, left_out, generated, _refuse_unreadable):
        below = os.path.relpath(folder, root)
        for name in names:
            path = os.path.normpath(os.path.join(below, name))
            if name.lower() == CONTACT_SHEET and not earlier:
                files.generated.append(path)
            elif is_picture(folder, name, store, earlier):
                files.names.append(path)
            elif earlier or name not in (LABELS_CSV, DATASET_JSON):
                ending = os.path.splitext(name)[1].lower()
                files.others[ending] += 1
                files.examples.setdefault(ending, path)
    files.names.sort(key=lambda name: name.split(os.sep))
    return files


def find_picture(
    root: pathlib.Path, store: Store = DISK, left_out: frozenset[str] = frozenset(), folders: int | None = None
) -> str | None:
    """The path of any picture below a folder, or None.

    Args:
        root: The folder.
        store: Where it lies.
        left_out: Names of folders, in lower case, that are not entered.
        folders: Maximum number of folders to search; None for all.
    """
    for folder, names in itertools.islice(_walk(root, store, SYSTEM_FOLDERS | left_out, []), folders):
        for name in names:
            if name.lower() != CONTACT_SHEET and is_picture(folder, name, store):
                return os.path.join(folder, name)
    return None


def _walk(
    root: pathlib.Path,
    store: Store,
    left_out: frozenset[str],
    generated: list[str] | None = None,
    onerror: OnError | None = None,
) -> Iterator[tuple[str, list[str]]]:
    """Yields the folders that may hold the user's pictures, each with its files that are not hidden.

    Args:
        root: Where to begin.
        store: Where the folders lie.
        left_out: Names of folders, in lower case, that are skipped in addition to hidden ones.
        generated: Receives the folders of runs and exports, which are skipped as well. None: they are entered.
        onerror: Called for a folder that cannot be read. None: the folder is skipped.
    """
    entered = set()
    for folder, subfolders, files in store.walk(root, onerror):
        real = os.path.realpath(folder)
        if real in entered:
            subfolders.clear()
        elif generated is not None and _is_generated(folder, subfolders, files, store):
            subfolders.clear()
            generated.append(os.path.relpath(folder, root))
        else:
            entered.add(real)
            subfolders[:] = sorted(name for name in visible(subfolders) if name.lower() not in left_out)
            yield folder, sorted(visible(files))


def visible(names: Iterable[str]) -> list[str]:
    """The names that are not hidden."""
    return [name for name in names if not name.startswith(".")]


def _is_generated(folder: str, subfolders: Sequence[str], files: Sequence[str], store: Store) -> bool:
    """Whether a folder is an export or a run, judged by files that even a new or copied one contains."""
    if "saved_model.pb" in files:
        return True
    if "config.json" in files and (".lock" in files or "metrics.jsonl" in files or "checkpoints" in subfolders):
        with contextlib.suppress(OSError, ValueError):
            return b'"latent_dim"' in store.read_start(os.path.join(folder, "config.json"), CONFIG_BYTES)
    return False


def is_picture(folder: str | os.PathLike[str], name: str, store: Store = DISK, earlier: bool = False) -> bool:
    """Whether a file is a picture, judged by its ending or, without an ending, by its first bytes."""
    ending = os.path.splitext(name)[1].lower()
    if earlier or ending:
        return ending in ENDINGS or (not earlier and ending in MORE_ENDINGS)
    with contextlib.suppress(OSError, ValueError):
        return bool(SIGNATURE.match(store.read_start(os.path.join(folder, name), SIGNATURE_BYTES)))
    return False


def _refuse_unreadable(error: OSError) -> None:
    raise UserError(f"`data_dir`: cannot read the folder '{error.filename}': {error.strerror}")


def is_sheet(picture: Image.Image) -> bool:
    """Whether a picture is a grid, a plot or an animation that this program wrote."""
    return picture.info.get("Software") == SOFTWARE or picture.info.get("comment") == SOFTWARE.encode()
