"""Files that are whole or absent, locks, and paths that TensorFlow can read."""

import contextlib
import errno
import fcntl
import io
import json
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dcgan_tf.progress import logger

if TYPE_CHECKING:
    import numpy as np

PATTERN_CHARACTERS = "[]*?\\"
ADVICE = {
    errno.ENOSPC: "Make room",
    errno.EDQUOT: "Make room",
    errno.EACCES: "Allow writing there",
    errno.EPERM: "Allow writing there",
    errno.EROFS: "Allow writing there",
    errno.EIO: "Check the disk",
}


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to. It takes the place of ``path`` at the end; an error leaves ``path`` alone.

    Args:
        path: A file, or a folder that does not exist yet.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def write_bytes(path: pathlib.Path, content: bytes) -> pathlib.Path:
    """Writes a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: pathlib.Path, text: str) -> pathlib.Path:
    """Writes a UTF-8 file, whole or not at all. Bytes of file names that are no text are written as escapes."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: pathlib.Path, value: Any) -> pathlib.Path:
    """Writes a value as indented JSON, whole or not at all."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


def write_arrays(path: pathlib.Path, **arrays: "np.ndarray | float | str") -> pathlib.Path:
    """Writes a ``.npz`` file, whole or not at all."""
    import numpy as np

    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_arrays(path: pathlib.Path) -> "dict[str, np.ndarray]":
    """Reads the arrays of a ``.npz`` file.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else.
    """
    import numpy as np  # Not before it is needed: a mistyped flag is to be answered at once.

    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content, allow_pickle=False) as file:
            return dict(file)
    except (OSError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(reason(error)) from None


def remove(path: pathlib.Path) -> None:
    """Removes a file or a folder, where there is one; of a link, only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: pathlib.Path, waiting: str = "") -> Iterator[None]:
    """Holds a lock file, which is made if it is missing, against other processes.

    Args:
        path: of the lock file.
        waiting: said before waiting for another process. Without it, nothing is waited for.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be written.
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
    """The path of a folder as TensorFlow can take it: through a descriptor where its name is not plain.

    TensorFlow looks for checkpoints and SavedModels by a pattern, so it finds none below a folder whose name holds a
    character of patterns; and it takes no names that are not UTF-8.
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
    """What the system says of which file; else the first line of an error's message, or its type where it has none.

    A message can be too long for a line and is cut, but the file is what the user needs to know.
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: '{error.filename2 or error.filename}'"
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def way_on(error: BaseException) -> str:
    """What to do where a file cannot be written. TensorFlow's errors have no number, but the same text."""
    return next((advice for number, advice in ADVICE.items() if os.strerror(number) in str(error)), "Remove the cause")
