"""Pictures in a .zip file, which are unpacked once, next to the prepared images."""

import hashlib
import os
import pathlib
import shutil
import zipfile

from dcgan_tf import files, progress
from dcgan_tf.data.locks import locked
from dcgan_tf.data.tree import is_picture
from dcgan_tf.errors import UserError

# Bytes of an unpacked file for each of its bytes in the archive. Pictures are compressed already.
MAX_RATIO = 200


def unpack_pictures(path: pathlib.Path, cache: pathlib.Path, setting: str) -> pathlib.Path:
    """Unpacks the pictures of an archive, and nothing else.

    Args:
        path: The .zip file.
        cache: The cache folder.
        setting: The setting that named the file, for the error messages.

    Returns:
        The folder of the pictures, whose name begins with that of the file.

    Raises:
        UserError: The file is damaged or encrypted, holds no picture, or would unpack to far more than its size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                member for member in archive.infolist() if not member.is_dir() and is_picture("", member.filename)
            ]
            if not members:
                raise UserError(f"`{setting}`: no picture in '{path}'")
            if sum(member.file_size for member in members) > MAX_RATIO * path.stat().st_size:
                raise UserError(f"`{setting}`: '{path}' would unpack to more than {MAX_RATIO} times its size")
            # The table of contents has a checksum of each file.
            contents = ascii([(member.filename, member.file_size, member.CRC) for member in members])
            folder = cache / "zips" / f"{path.stem}-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"
            with locked(folder, "cache_dir"):
                if not folder.is_dir():
                    _unpack(archive, members, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"`{setting}`: '{path}' cannot be unpacked: {files.reason(error)}") from None
    return folder


def _unpack(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: pathlib.Path) -> None:
    unfinished = folder.with_name(f".unpacking-{folder.name}")
    files.remove(unfinished)
    try:
        for member in progress.bar(members, desc="unpacking", unit=" files"):
            archive.extract(member, unfinished)  # Leaves out leading slashes and "..", so nothing lands elsewhere.
        os.rename(_without_single_folders(unfinished), folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _without_single_folders(folder: pathlib.Path) -> pathlib.Path:
    """The innermost folder that holds everything: archives often hold one folder with all else in it."""
    entries = list(folder.iterdir())
    while len(entries) == 1 and entries[0].is_dir():
        folder = entries[0]
        entries = list(folder.iterdir())
    return folder
