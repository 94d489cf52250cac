"""A lock that lets only one process at a time prepare the same data."""

import contextlib
import pathlib
from collections.abc import Iterator

from dcgan_tf import files
from dcgan_tf.errors import UserError


@contextlib.contextmanager
def locked(directory: pathlib.Path, setting: str) -> Iterator[None]:
    """Keeps other processes from making the same folder, and waits while another process makes it.

    Args:
        directory: The folder to be made. The lock is a file next to it that is never removed, because processes that
            wait for it and processes that come later must find the same file.
        setting: The setting that chose the place, for the error message.

    Raises:
        UserError: The lock cannot be written.
    """
    lock = directory.with_name(f".preparing-{directory.name}.lock")
    with contextlib.ExitStack() as stack:
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(lock, "Another process is preparing the same data: waiting for it."))
        except OSError as error:
            raise UserError(
                f"`{setting}`: cannot write to '{directory.parent}': {error.strerror}. Choose another folder"
            ) from None
        yield
