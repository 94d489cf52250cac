"""Atomic writing of files, reading, locks, and paths that TensorFlow can read."""

import contextlib
import errno
import fcntl
import functools
import io
import json
import os
import pathlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dcgan_tf.progress import logger

if TYPE_CHECKING:
    import numpy as np

PATTERN_CHARACTERS = "[]*?\\"
# Beginnings of the hidden names of folders that are being written or removed.
WRITING = ".writing"
REMOVING = ".removing-"
ADVICE = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EACCES: "Allow access to it",
    errno.EPERM: "Allow access to it",
    errno.EROFS: "Allow writing there",
    errno.EIO: "Check the disk",
    errno.EMFILE: "Raise the limit of open files (ulimit -n 4096)",
    errno.ENOENT: "Restore it",
}


@contextlib.contextmanager
def replacing(path: pathlib.Path, ending: str = "") -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to, and moves it to ``path`` at the end. An error leaves ``path`` unchanged.

    Args:
        path: A file, or a folder that does not exist yet.
        ending: Ending of the temporary path, such as ``.keras``, for a writer that recognizes a format by it.
    """
    # Random, because two machines that share a disk can have processes with the same number.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp{ending}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def write_bytes(path: pathlib.Path, content: bytes) -> pathlib.Path:
    """Writes a file atomically: whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: pathlib.Path, text: str) -> pathlib.Path:
    """Writes a UTF-8 file atomically. Undecodable bytes of file names are escaped."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: pathlib.Path, value: Any) -> pathlib.Path:
    """Writes a value as indented JSON, atomically."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


def write_arrays(path: pathlib.Path, **arrays: "np.ndarray | float | str") -> pathlib.Path:
    """Writes a ``.npz`` file atomically."""
    import numpy as np

    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_arrays(path: pathlib.Path) -> "dict[str, np.ndarray]":
    """Reads the arrays of a ``.npz`` file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not a valid ``.npz`` file.
    """
    import numpy as np  # Imported late, so that a mistyped flag is reported at once.

    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content, allow_pickle=False) as file:
            return dict(file)
    except (OSError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(reason(error)) from None


def remove(path: pathlib.Path) -> None:
    """Removes a file or a folder if it exists. The target of a link is not removed.

    A folder whose name is not hidden is hidden first, so a killed process cannot leave half of it under its name.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
    elif path.name.startswith("."):
        shutil.rmtree(path)
    else:
        hidden = path.with_name(f"{REMOVING}{path.name}")
        remove(hidden)
        try:
            path.rename(hidden)
        except OSError as error:
            # OverlayFS cannot rename a folder of a lower layer, and a full disk may have no room for another name.
            # Without permission, the folder could be emptied but not removed, so that half of it would stay.
            if error.errno not in (errno.EXDEV, errno.ENOSPC, errno.EDQUOT):
                raise
            hidden = path
        shutil.rmtree(hidden)


_warn_once = functools.cache(logger.warning)


def discard(paths: Iterable[pathlib.Path]) -> None:
    """Removes files and folders that are no longer needed. A warning names those that cannot be removed."""
    failed: list[tuple[pathlib.Path, OSError]] = []
    for path in paths:
        try:
            remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            failed.append((path if path.exists() else path.with_name(f"{REMOVING}{path.name}"), error))
    if failed:
        first, cause = failed[0]
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        _warn_once(
            f"'{first}'{others} could not be removed ({reason(cause)}). This is no longer needed: remove it yourself "
            "to free the space"
        )


def remove_leftovers(directory: pathlib.Path) -> None:
    """Removes the hidden folders that killed processes left in ``directory``, as far as possible."""
    discard(leftover for pattern in (f"{WRITING}*", f"{REMOVING}*") for leftover in directory.glob(pattern))


@contextlib.contextmanager
def locked(path: pathlib.Path, waiting: str = "") -> Iterator[None]:
    """Holds a lock file, so that other processes cannot. The file is created if it is missing.

    Args:
        path: The lock file.
        waiting: Message to log before waiting for another process. If it is empty, the call does not wait.

    Raises:
        BlockingIOError: Another process holds the lock, and the call does not wait.
        OSError: The file cannot be written.
    """
    with open(path, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waiting:
                raise
            logger.info(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def plain_path(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path of the folder that TensorFlow can read: through a file descriptor if it has special characters.

    TensorFlow looks for checkpoints and SavedModels by a glob pattern, so it finds none in a folder whose name contains
    a wildcard. It also rejects names that are not UTF-8.
    """
    if not any(c in PATTERN_CHARACTERS or "\udc80" <= c <= "\udcff" for c in str(directory.absolute())):
        yield directory
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield pathlib.Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def reason(error: BaseException) -> str:
    """The system's reason, and the file if it is known; for other errors the first line of the message, or the type.

    The file is added separately, because the user needs to know it, and messages are cut to fit on a line. TensorFlow's
    errors have the system's reason at the end of a long message.
    """
    if isinstance(error, OSError) and error.strerror:
        file = error.filename2 or error.filename
        return error.strerror if file is None else f"{error.strerror}: '{file}'"
    lines = re.sub(r"\{\{.*?\}\}", "", str(error)).strip().splitlines()
    if number := _system_error(error):
        lines.insert(0, f"{os.strerror(number)}: {lines[0]}")
    return lines[0][:200] if lines else type(error).__name__


def way_on(error: BaseException) -> str:
    """Advice for a file that cannot be read or written."""
    number = _system_error(error)
    return ADVICE[number] if number else "Remove the cause"


def _system_error(error: BaseException) -> int | None:
    """The error number, if there is advice for it. TensorFlow's errors have none, but contain the same text."""
    return next((number for number in ADVICE if os.strerror(number) in str(error)), None)
