"""Paths in the user's home folder, and a check for paths that TensorFlow cannot use."""

import os
import pathlib
import re

from dcgan_tf.errors import UserError

LOCAL = "a path on this machine: mount the storage there, or copy the files"


def expand(path: str) -> str:
    """Replaces a leading ``~`` or ``~user``, which a shell leaves alone in ``--flag=~/folder``.

    Raises:
        ValueError: The home folder is unknown.
    """
    if not path.startswith("~"):
        return path
    try:
        return str(pathlib.Path(path).expanduser())
    except RuntimeError:
        raise ValueError(f"no home folder is known for {path.split('/')[0]!r}. Give the full path") from None


def is_address(path: str) -> bool:
    """Whether a path is an address of object storage or the web, such as ``gs://bucket/folder``.

    To Python it is a folder named ``gs:`` below the working directory.
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path) is not None


def in_home(name: str, flag: str) -> pathlib.Path:
    """The path of a file or folder in the user's home folder.

    Args:
        name: Name of the file or folder.
        flag: The setting that chooses another place.

    Raises:
        UserError: The home folder is unknown, for example in a container whose user has no name.
    """
    try:
        return pathlib.Path.home() / name
    except RuntimeError:
        raise UserError(
            f"`{flag}`: its default is ~/{name}, but the home folder of user {os.getuid()} is unknown. Set HOME, or "
            f"give `{flag}`"
        ) from None


def refuse_undecodable(directory: pathlib.Path, flag: str) -> None:
    """Raises UserError for a folder whose absolute path is not UTF-8: TensorFlow cannot write or read files there."""
    path = str(directory.absolute())
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise UserError(
            f"`{flag}`: expected a folder whose path is UTF-8, as TensorFlow requires. Received: '{shown}'"
        ) from None
