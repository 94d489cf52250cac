"""One process at a time prepares the same data."""

import contextlib
import pathlib
from collections.abc import Iterator

from dcgan_tf import files
from dcgan_tf.errors import UserError


@contextlib.contextmanager
def locked(directory: pathlib.Path, setting: str) -> Iterator[None]:
    """Keeps other processes from making the same folder; waits while another one does.

    Args:
        directory: The folder to be made. The lock is a file beside it, which stays: whoever waits for it and whoever
            comes later must find the same one.
        setting: Names the place.

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
