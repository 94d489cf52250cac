"""Which pictures of a folder are of a split, which class each is of, and what is left out."""

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterable, Sequence

from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import ANY_SIZE, ENDINGS, BadPictureError, open_picture
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

# Which rules choose, label and key the pictures. A run keeps the rules that it began with, so that it resumes on the
# same images: a change of what follows that changes the images of some folder is a new number.
RULES = 2
EARLIER_RULES = 1  # By ending alone, any sub-folder of the split's name, labels numbered within each split.

# Pictures in other formats, by their endings.
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
NAMED = 5  # Of several names in a message.
MAX_LOOSE_PICTURES = 1000  # That are opened to tell sheets from them, at every start.


@dataclasses.dataclass(frozen=True)
class Listing:
    """The pictures of one split.

    Attributes:
        root: the folder of the split.
        names: paths of the pictures, relative to the root, in order.
        class_names: names of the labels 0, 1, ...: of the training split in every split; empty where there are none.
        fingerprint: changes with the images and their labels.
        notes: what was left out or does not match, a line each.
    """

    root: pathlib.Path
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]


def list_pictures(config: Config) -> Listing:
    """Lists the pictures of the split ``config.split`` of the folder ``config.data_dir``.

    Raises:
        UserError: there is no such folder or split, no picture in it, or its classes have changed since the run began.
    """
    if not config.data_dir:
        raise UserError("`dataset=folder`: name the folder of your pictures with `data_dir`")
    folder = pathlib.Path(config.data_dir).expanduser()
    if not folder.is_dir():
        raise UserError(f"`data_dir`: expected a folder of pictures. Received: '{config.data_dir}'")
    earlier = config.data_rules == EARLIER_RULES
    root, training_root, notes = (_find_split_as_before if earlier else _find_split)(folder, config.split)
    files = list_files(root, earlier)
    if not earlier:
        _leave_out_sheets(root, files)
        notes += _describe_left_out(root, files)
    names = files.names
    if not names:
        endings = ", ".join(sorted(ENDINGS | MORE_ENDINGS))
        seen = "; ".join(notes) or f"there is no file at all in '{root}'"
        raise UserError(f"`data_dir`: no picture in '{root}'. Expected files that end in {endings}, but {seen}")
    own = _class_folders(names)
    training = own if training_root == root else _class_folders(_training_names(training_root))
    if config.data_digest and config.class_names and training != config.class_names:
        raise UserError(
            f"`data_dir`: the class folders of '{training_root}' have changed since this run began: "
            f"{_differences(config.class_names, training)}. Name them as before to resume it, or start a new run"
        )
    class_names = config.class_names or training
    if own != class_names:
        names, class_names, more = _match_classes(root, names, class_names)
        notes += more
    if earlier:
        fingerprint = _earlier_fingerprint(root, names, () if class_names == own else class_names)
    else:
        fingerprint = _fingerprint(root, names, class_names)
    return Listing(root, tuple(names), class_names, fingerprint, tuple(notes))


def _training_names(root: pathlib.Path) -> list[str]:
    files = list_files(root)
    _leave_out_sheets(root, files)
    return files.names


def _find_split(folder: pathlib.Path, split: str) -> tuple[pathlib.Path, pathlib.Path, list[str]]:
    """The folder of a split, that of the training split, and what is to be said of it.

    A folder has splits where all folders in it that hold pictures have names of splits: beside others, a folder called
    train or test is a class.
    """
    _, subfolders, files = next(os.walk(folder), ("", [], []))
    entered = [name for name in sorted(visible(subfolders)) if name.lower() not in SYSTEM_FOLDERS]
    holding = [name for name in entered if find_picture(folder / name)]
    others = [name for name in holding if name.lower() not in SPLIT_NAMES and name != split]
    wanted, training = _named(holding, split), _named(holding, "train")
    loose: list[str] = []
    if holding and not others:
        loose = sorted(name for name in visible(files) if name.lower() != CONTACT_SHEET and is_picture(folder, name))
    if not holding or others or (not training and not all(_is_sheet(folder / name) for name in loose)):
        if split != "train":
            beside = f". '{wanted}' is not a split there: beside it are {_some(others or loose)}" if wanted else ""
            raise UnknownSplitError(f"`split`: '{folder}' has no folder named {split!r}{beside}")
        reason = f"'{wanted}' in '{folder}' counts as a class because the folders beside it are not splits: "
        return folder, folder, [reason + _some(others)] if wanted else []
    if not wanted:
        raise UnknownSplitError(
            f"`split`: '{folder}' has no folder named {split!r}. It has {_some(holding)}: name one of them with "
            "`split`, or as the folder itself with `data_dir`"
        )
    notes = [f"left out because they lie beside the splits of '{folder}': {_some(loose)}"] if loose else []
    return folder / wanted, folder / (training or wanted), notes


def _named(folders: Sequence[str], split: str) -> str:
    """The folder of a split: by its own name, else by a usual one in any letter case; empty where there is none."""
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
    """The folders of the first level, where every picture lies in one of at least two."""
    first_levels = {_first_level(name) for name in names}
    return tuple(sorted(first_levels)) if "" not in first_levels and len(first_levels) > 1 else ()


def _first_level(name: str) -> str:
    return name.split(os.sep)[0] if os.sep in name else ""


def _leave_out_sheets(root: pathlib.Path, files: Files) -> None:
    """Moves sheets of samples beside the pictures to what this program made: few pictures would be too many bad ones,
    and folders beside them no classes. Among many pictures, and in other folders, sheets are bad files."""
    loose = [name for name in files.names if not _first_level(name)]
    if len(loose) <= MAX_LOOSE_PICTURES:
        sheets = [name for name in loose if _is_sheet(root / name)]
        files.generated += sheets
        files.names = [name for name in files.names if name not in sheets]


def _is_sheet(path: pathlib.Path) -> bool:
    if path.suffix.lower() not in (".png", ".gif"):
        return False
    with contextlib.suppress(BadPictureError, UserError), open_picture(path, ANY_SIZE) as picture:
        return is_sheet(picture)
    return False


def _match_classes(
    root: pathlib.Path, names: list[str], class_names: tuple[str, ...]
) -> tuple[list[str], tuple[str, ...], list[str]]:
    """The pictures of a split that are of the training split's classes, these classes, and what does not match.

    A split without any of them has no labels, and keeps all of its pictures.
    """
    counts = collections.Counter(_first_level(name) for name in names)
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
    return [name for name in names if _first_level(name) not in unknown], class_names, notes


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
        notes.append(f"left out of '{root}': {counts}, in formats that are not read. {way_out}{heif}")
    foreign = [ending for ending, _ in files.others.most_common() if ending not in OTHER_FORMATS]
    if foreign:
        notes.append(f"left out of '{root}': {_count(files, foreign)}, that are not pictures")
    return notes


def _count(files: Files, endings: Sequence[str]) -> str:
    """How many files have these endings, such as ``3 files (2 .heic, 1 .tif), such as 'a.heic'``."""
    counts = [f"{files.others[ending]} {printable(ending) or 'without an ending'}" for ending in endings[:NAMED]]
    rest = sum(files.others[ending] for ending in endings[NAMED:])
    total = sum(files.others[ending] for ending in endings)
    named = ", ".join([*counts, *([f"{rest} others"] if rest else [])])
    return f"{total} {'file' if total == 1 else 'files'} ({named}), such as {_some([files.examples[endings[0]]])}"


def _some(names: Iterable[str]) -> str:
    """The first of some names, quoted, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"'{printable(name)}'" for name in names[:NAMED]) + more


def _fingerprint(root: pathlib.Path, names: Sequence[str], class_names: tuple[str, ...]) -> str:
    """Of where the pictures lie, and of what shows that a file was replaced; a copy elsewhere has another one."""
    digest = hashlib.sha256(ascii((os.path.realpath(root), class_names)).encode())
    for name in names:
        with contextlib.suppress(OSError):  # A link to nowhere is named as a bad file later.
            status = os.stat(os.path.join(root, name))
            facts = (name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            digest.update(ascii(facts).encode())
    return digest.hexdigest()[:16]


def _earlier_fingerprint(root: pathlib.Path, names: Sequence[str], class_names: tuple[str, ...]) -> str:
    """The key of the cache that a run of an earlier release has read."""
    digest = hashlib.sha256()
    for name in names:
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(root, name))
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "backslashreplace"))
    return "-".join([digest.hexdigest()[:16], *class_names])
