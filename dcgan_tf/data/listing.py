"""The pictures of a folder or an archive: which belong to a split, the class of each, and what is left out."""

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

from dcgan_tf.config.settings import Config
from dcgan_tf.data.labels import LabelFile, find_labels, sorted_classes
from dcgan_tf.data.pictures import ANY_SIZE, ENDINGS, BadPictureError, Limits, open_picture
from dcgan_tf.data.store import DISK, Store, open_archive
from dcgan_tf.data.tree import (
    CONTACT_SHEET,
    MORE_ENDINGS,
    SYSTEM_FOLDERS,
    Files,
    find_picture,
    is_picture,
    is_sheet,
    list_files,
    visible,
)
from dcgan_tf.errors import UnknownSplitError, UserError, printable

# Version of the rules that choose, label and key the pictures. A run keeps the rules that it began with, so that it
# resumes on the same images. A change to this module that changes the images of any folder needs a new version.
RULES = 3
RULES_WITHOUT_LABEL_FILES = 2  # Classes come from folders only.
EARLIER_RULES = 1  # File endings only, any subfolder with the split's name, labels numbered within each split.

# Endings of pictures in formats that are not read.
OTHER_FORMATS = frozenset(
    {
        ".heic", ".heif", ".avif", ".tif", ".tiff", ".jp2", ".j2k", ".jxl", ".psd", ".xcf", ".tga", ".ico", ".svg",
        ".eps", ".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf",
        ".rw2", ".raf",
    }
)  # fmt: skip
HEIF_ENDINGS = frozenset({".heic", ".heif"})
SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev"),
}
SPLIT_NAMES = frozenset(itertools.chain(*SPLITS.values(), ("eval", "holdout", "extra", "unlabeled")))
NAMED = 5  # Maximum number of names that a message lists
MAX_LOOSE_PICTURES = 1000  # Maximum number of pictures that are opened at every start to find sheets among them

ClassOf = Callable[[str], str]


@dataclasses.dataclass(frozen=True)
class Listing:
    """The pictures of one split.

    Attributes:
        root: The folder of the split. In an archive, its path begins with that of the archive.
        store: Where the folder lies.
        names: Paths of the pictures, relative to the root, in order.
        labels: The class of each picture; -1 if there are no classes.
        class_names: Names of the labels 0, 1, ..., which every split takes from the training split; empty if there
            are none.
        fingerprint: Changes with the images and their labels.
        notes: One line for each thing that was left out or does not match.
    """

    root: pathlib.Path
    store: Store
    names: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]


def list_pictures(config: Config) -> Listing:
    """Lists the pictures of the split ``config.split`` of ``config.data_dir``, a folder or a zip archive.

    Raises:
        UserError: There is no such folder or split, it has no picture, its classes have changed since the run began,
            or its archive or labels file cannot be used.
    """
    folder, store = _open_folder(config)
    earlier = config.data_rules == EARLIER_RULES
    if earlier:
        root, training_root, notes = _find_split_as_before(folder, config.split)
    else:
        root, training_root, notes = _find_split(folder, config.split, store)
    files = list_files(root, store, earlier)
    if not earlier:
        _leave_out_sheets(root, store, files)
        notes += _describe_left_out(root, files)
    names = files.names
    if not names:
        endings = ", ".join(sorted(ENDINGS | MORE_ENDINGS))
        seen = "; ".join(notes) or f"'{root}' contains no files"
        raise UserError(f"`data_dir`: no picture in '{root}'. Expected files that end in {endings}, but {seen}")
    uses_label_files = config.data_rules not in (EARLIER_RULES, RULES_WITHOUT_LABEL_FILES)
    label_file = find_labels(store, root, folder) if uses_label_files else None
    own, class_of = _classes(names, label_file)
    if label_file and _class_folders(names):
        notes.append(f"the classes are those in '{label_file.path}', not the folders of the pictures")
    training = own
    if training_root != root:
        training_file = find_labels(store, training_root, folder) if uses_label_files else None
        training, _ = _classes(_training_names(training_root, store), training_file)
    if config.data_digest and config.class_names and training != config.class_names:
        raise UserError(
            f"`data_dir`: the {'classes' if label_file else 'class folders'} of '{training_root}' have changed since "
            f"this run began: {_differences(config.class_names, training)}. Name them as before to resume it, or start "
            "a new run"
        )
    class_names = config.class_names or training
    if own != class_names:
        names, class_names, more = _match_classes(root, names, class_names, class_of)
        notes += more
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = tuple(numbers[class_of(name)] for name in names) if class_names else (-1,) * len(names)
    if earlier:
        fingerprint = _earlier_fingerprint(root, names, () if class_names == own else class_names)
    else:
        fingerprint = _fingerprint(root, store, names, class_names, labels if label_file else None)
    return Listing(root, store, tuple(names), labels, class_names, fingerprint, tuple(notes))


def _open_folder(config: Config) -> tuple[pathlib.Path, Store]:
    """The folder of the data set, and where it lies.

    If everything in an archive lies in one folder, that is the folder: programs that make archives often add one.
    """
    if not config.data_dir:
        raise UserError("`dataset=folder`: name the folder or the zip archive of your pictures with `data_dir`")
    folder = pathlib.Path(config.data_dir).expanduser()
    if folder.is_dir():
        return folder, DISK
    if not folder.is_file():
        raise UserError(f"`data_dir`: expected a folder or a zip archive of pictures. Received: '{config.data_dir}'")
    archive = open_archive(folder)
    while True:
        _, subfolders, files = next(archive.walk(folder))
        entered = [name for name in visible(subfolders) if name.lower() not in SYSTEM_FOLDERS]
        if len(entered) != 1 or visible(files) or entered[0].lower() in SPLIT_NAMES:
            return folder, archive
        folder /= entered[0]


def _classes(names: Sequence[str], label_file: LabelFile | None) -> tuple[tuple[str, ...], ClassOf]:
    """The classes of a split, by its labels file or else by its folders, and the function that finds a picture's."""
    if label_file is None:
        return _class_folders(names), _first_level
    label_file.refuse_other_pictures(names)
    if label_file.classes is None:
        return (), _first_level
    classes = sorted_classes(label_file.classes.values())
    return classes if len(classes) > 1 else (), label_file.classes.__getitem__


def _training_names(root: pathlib.Path, store: Store) -> list[str]:
    files = list_files(root, store)
    _leave_out_sheets(root, store, files)
    return files.names


def _find_split(folder: pathlib.Path, split: str, store: Store) -> tuple[pathlib.Path, pathlib.Path, list[str]]:
    """The folder of a split, the folder of the training split, and notes for the user.

    A folder has splits if all of its subfolders that hold pictures are named like splits. Next to other subfolders, a
    folder called train or test is a class.
    """
    _, subfolders, files = next(store.walk(folder), ("", [], []))
    entered = [name for name in sorted(visible(subfolders)) if name.lower() not in SYSTEM_FOLDERS]
    holding = [name for name in entered if find_picture(folder / name, store)]
    others = [name for name in holding if name.lower() not in SPLIT_NAMES and name != split]
    wanted, training = _named(holding, split), _named(holding, "train")
    loose: list[str] = []
    if holding and not others:
        loose = sorted(
            name for name in visible(files) if name.lower() != CONTACT_SHEET and is_picture(folder, name, store)
        )
    if not holding or others or (not training and not all(_is_sheet(folder / name, store) for name in loose)):
        if split != "train":
            beside = f". '{wanted}' is not a split because it is next to {_some(others or loose)}" if wanted else ""
            raise UnknownSplitError(f"`split`: '{folder}' has no folder named {split!r}{beside}")
        reason = f"'{wanted}' in '{folder}' counts as a class because the folders next to it are not splits: "
        return folder, folder, [reason + _some(others)] if wanted else []
    if not wanted:
        raise UnknownSplitError(
            f"`split`: '{folder}' has no folder named {split!r}. It has {_some(holding)}. Name one of them with "
            "`split`, or pass its path as `data_dir`"
        )
    notes = [f"left out because they lie next to the splits of '{folder}': {_some(loose)}"] if loose else []
    return folder / wanted, folder / (training or wanted), notes


def _named(folders: Sequence[str], split: str) -> str:
    """The folder with the name of a split, or else with one of its usual names in any letter case; empty if none."""
    if split in folders:
        return split
    return next((folder for name in SPLITS.get(split, ()) for folder in folders if folder.lower() == name), "")


def _find_split_as_before(folder: pathlib.Path, split: str) -> tuple[pathlib.Path, pathlib.Path, list[str]]:
    if (folder / split).is_dir():
        return folder / split, folder / split, []
    if split != "train":
        raise UnknownSplitError(f"`split`: '{folder}' has no folder named {split!r}")
    return folder, folder, []


def _class_folders(names: Iterable[str]) -> tuple[str, ...]:
    """The first-level folders, if there are at least two and every picture lies in one of them."""
    first_levels = {_first_level(name) for name in names}
    return tuple(sorted(first_levels)) if "" not in first_levels and len(first_levels) > 1 else ()


def _first_level(name: str) -> str:
    return name.split(os.sep)[0] if os.sep in name else ""


def _leave_out_sheets(root: pathlib.Path, store: Store, files: Files) -> None:
    """Moves sample sheets in the top folder from the pictures to the files that this program made.

    As bad files, sheets could exceed the allowed share of a small data set; as pictures, they would keep the folders
    next to them from being classes. Among many pictures, and in other folders, sheets count as bad files.
    """
    loose = [name for name in files.names if not _first_level(name)]
    if len(loose) <= MAX_LOOSE_PICTURES:
        sheets = [name for name in loose if _is_sheet(root / name, store)]
        files.generated += sheets
        files.names = [name for name in files.names if name not in sheets]


def _is_sheet(path: pathlib.Path, store: Store) -> bool:
    if path.suffix.lower() not in (".png", ".gif"):
        return False
    with (
        contextlib.suppress(BadPictureError, UserError),
        open_picture(store.picture(path, Limits()), ANY_SIZE) as picture,
    ):
        return is_sheet(picture)
    return False


def _match_classes(
    root: pathlib.Path, names: list[str], class_names: tuple[str, ...], class_of: ClassOf
) -> tuple[list[str], tuple[str, ...], list[str]]:
    """The pictures of a split that belong to the training split's classes, these classes, and notes on the rest.

    A split without any of these classes has no labels and keeps all of its pictures.
    """
    counts = collections.Counter(class_of(name) for name in names)
    unknown = sorted(counts.keys() - set(class_names))
    if len(unknown) == len(counts):
        found = _some(folder for folder in unknown if folder) or "no folders"
        return names, (), [f"'{root}' has no labels: expected the classes {_some(class_names)}, found {found}"]
    notes = []
    if unknown:
        left_out = _some(folder or "." for folder in unknown)
        notes.append(
            f"left out of '{root}' because the training split has no such classes: {left_out} "
            f"({sum(counts[folder] for folder in unknown)} pictures)"
        )
    missing = [name for name in class_names if name not in counts]
    if missing:
        notes.append(f"'{root}' has no pictures of the classes {_some(missing)}")
    return [name for name in names if class_of(name) not in unknown], class_names, notes


def _differences(before: Sequence[str], now: Sequence[str]) -> str:
    gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
    return "; ".join(f"{kind}: {_some(names)}" for kind, names in (("missing", gone), ("new", new)) if names)


def _describe_left_out(root: pathlib.Path, files: Files) -> list[str]:
    notes = []
    if files.generated:
        notes.append(f"left out of '{root}' because this program made them: {_some(files.generated)}")
    unread = [ending for ending, _ in files.others.most_common() if ending in OTHER_FORMATS]
    if unread:
        way_out = "Convert them to PNG or JPEG to use them"
        heif = "; the package pillow-heif reads HEIC" if HEIF_ENDINGS.intersection(unread) else ""
        counts = _count(files, unread)
        notes.append(f"left out of '{root}': {counts}, in unsupported formats. {way_out}{heif}")
    foreign = [ending for ending, _ in files.others.most_common() if ending not in OTHER_FORMATS]
    if foreign:
        notes.append(f"left out of '{root}': {_count(files, foreign)}, which are not pictures")
    return notes


def _count(files: Files, endings: Sequence[str]) -> str:
    """The number of files with these endings: ``3 files (2 .heic, 1 .tif), such as 'a.heic'``."""
    counts = [f"{files.others[ending]} {printable(ending) or 'without an ending'}" for ending in endings[:NAMED]]
    rest = sum(files.others[ending] for ending in endings[NAMED:])
    total = sum(files.others[ending] for ending in endings)
    named = ", ".join([*counts, *([f"{rest} others"] if rest else [])])
    return f"{total} {'file' if total == 1 else 'files'} ({named}), such as {_some([files.examples[endings[0]]])}"


def _some(names: Iterable[str]) -> str:
    """The first few names, quoted, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"'{printable(name)}'" for name in names[:NAMED]) + more


def _fingerprint(
    root: pathlib.Path,
    store: Store,
    names: Sequence[str],
    class_names: tuple[str, ...],
    labels: tuple[int, ...] | None,
) -> str:
    """A digest of the pictures' paths and of the file facts that reveal a replacement. A copied folder has another one.

    Args:
        root, store, names, class_names: As in `Listing`.
        labels: The labels, if a file gives them; None if the paths do.
    """
    digest = hashlib.sha256(ascii((os.path.realpath(root), class_names)).encode())
    if labels is not None:
        digest.update(ascii(labels).encode())
    for name in names:
        with contextlib.suppress(OSError):  # A broken link is reported as a bad file later.
            digest.update(ascii((name, *store.facts(os.path.join(root, name)))).encode())
    return digest.hexdigest()[:16]


def _earlier_fingerprint(root: pathlib.Path, names: Sequence[str], class_names: tuple[str, ...]) -> str:
    """The cache key that earlier releases used."""
    digest = hashlib.sha256()
    for name in names:
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(root, name))
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "backslashreplace"))
    return "-".join([digest.hexdigest()[:16], *class_names])
