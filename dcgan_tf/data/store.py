"""Where the files of a data set lie: in folders on disk, or in a zip archive, which is read in place."""

import collections
import dataclasses
import functools
import io
import os
import pathlib
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from typing import Protocol

from dcgan_tf.data.damage import DECODER_ERRORS, BadPictureError, damage_named, refuse_faults_of_the_machine
from dcgan_tf.data.pictures import Limits, PictureFile
from dcgan_tf.errors import UserError

# A file of an archive is unpacked in memory. It may be as large as the pixels of the largest picture (four channels of
# 16 bits) and its metadata, so that a small archive cannot fill the memory.
BYTES_PER_PIXEL = 8
METADATA_BYTES = 64 * 2**20
ENCRYPTED = 1  # This bit in the flags of an archived file

OnError = Callable[[OSError], None]
Triple = tuple[str, list[str], list[str]]


class Store(Protocol):
    """Files by their paths. The path of a file in an archive begins with that of the archive."""

    def walk(self, root: pathlib.Path, onerror: OnError | None = None) -> Iterator[Triple]:
        """Yields each folder with its subfolders and files, like `os.walk`.

        Subfolders that the caller removes from the list are skipped.
        """

    def read_start(self, path: str | os.PathLike[str], size: int) -> bytes:
        """The first bytes of a regular file; raises OSError if there is none, ValueError if it is damaged."""

    def picture(self, path: pathlib.Path, limits: Limits) -> PictureFile:
        """The file as `open_picture` takes it; raises BadPictureError if it is damaged or exceeds the limits."""

    def facts(self, path: str) -> tuple[str | int, ...]:
        """Facts about a file that change if it is replaced; raises OSError if there is no file."""


@dataclasses.dataclass(frozen=True)
class Disk:
    """Folders on disk. Symbolic links are followed."""

    def walk(self, root: pathlib.Path, onerror: OnError | None = None) -> Iterator[Triple]:
        return os.walk(root, followlinks=True, onerror=onerror)

    def read_start(self, path: str | os.PathLike[str], size: int) -> bytes:
        if not stat.S_ISREG(os.stat(path).st_mode):  # Opening a pipe would wait for its other end.
            raise FileNotFoundError(path)
        with open(path, "rb") as file:
            return file.read(size)

    def picture(self, path: pathlib.Path, limits: Limits) -> PictureFile:
        return path

    def facts(self, path: str) -> tuple[str | int, ...]:
        status = os.stat(path)
        return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


DISK = Disk()


@dataclasses.dataclass(frozen=True)
class Archive:
    """A zip archive. Each process opens it once, and checks by its facts that it has not been replaced.

    Attributes:
        path: The archive.
        identity: The facts of the archive itself.
    """

    path: pathlib.Path
    identity: tuple[str | int, ...]

    def walk(self, root: pathlib.Path, onerror: OnError | None = None) -> Iterator[Triple]:
        folders = _open(self).folders
        waiting = [self._inside(root)]
        while waiting:
            folder = waiting.pop()
            subfolders, files = (sorted(names) for names in folders.get(folder, (set(), set())))
            yield str(self.path / folder), subfolders, files
            waiting += [os.path.join(folder, name) for name in reversed(subfolders)]

    def read_start(self, path: str | os.PathLike[str], size: int) -> bytes:
        archive = _open(self)
        information = archive.files.get(self._inside(path))
        if information is None:
            raise FileNotFoundError(path)
        try:
            with archive.file.open(information) as file:
                return file.read(size)
        except DECODER_ERRORS as error:
            refuse_faults_of_the_machine(error, path)
            raise ValueError(f"truncated or damaged: {error}") from error

    def picture(self, path: pathlib.Path, limits: Limits) -> PictureFile:
        archive = _open(self)
        information = archive.files[self._inside(path)]
        if information.file_size > limits.max_pixels * BYTES_PER_PIXEL + METADATA_BYTES:
            size = f"{information.file_size:,} bytes"
            raise BadPictureError(f"{size} are more than a picture of `max_pixels={limits.max_pixels}` needs")
        with damage_named(path):
            return io.BytesIO(archive.file.read(information))

    def facts(self, path: str) -> tuple[str | int, ...]:
        information = _open(self).files[self._inside(path)]
        return (*self.identity, information.file_size, information.CRC)

    def _inside(self, path: str | os.PathLike[str]) -> str:
        inside = os.path.relpath(path, self.path)
        return "" if inside == "." else inside


@dataclasses.dataclass(frozen=True)
class _OpenArchive:
    file: zipfile.ZipFile
    files: dict[str, zipfile.ZipInfo]

    @functools.cached_property
    def folders(self) -> dict[str, tuple[set[str], set[str]]]:
        """The names of the subfolders and of the files of each folder."""
        folders: dict[str, tuple[set[str], set[str]]] = collections.defaultdict(lambda: (set(), set()))
        for name in self.files:
            folder, file = os.path.split(name)
            is_new = folder not in folders
            folders[folder][1].add(file)
            while is_new and folder:
                folder, subfolder = os.path.split(folder)
                is_new = folder not in folders
                folders[folder][0].add(subfolder)
        return dict(folders)


def open_archive(path: pathlib.Path) -> Archive:
    """Opens a zip archive of pictures.

    Raises:
        UserError: It is not a zip archive, is damaged, or contains encrypted files or paths that lead out of it.
    """
    try:
        archive = Archive(path, DISK.facts(os.fspath(path)))
    except OSError as error:
        refuse_faults_of_the_machine(error, path)
        raise
    _open(archive)
    return archive


@functools.lru_cache(maxsize=2)
def _open(archive: Archive) -> _OpenArchive:
    path = archive.path
    try:
        file = zipfile.ZipFile(path)
        identity = DISK.facts(os.fspath(path))
    except DECODER_ERRORS as error:
        refuse_faults_of_the_machine(error, path)
        raise UserError(
            f"`data_dir`: expected a folder of pictures or a zip archive. '{path}' is not a zip archive, or it is "
            f"damaged: {error}"
        ) from None
    if identity != archive.identity:
        raise UserError(f"the archive '{path}' was replaced while it was in use. Repeat the command")
    files = {}
    for information in file.infolist():
        name = information.filename.replace("\\", "/")  # As some programs for Windows write it
        if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
            raise UserError(
                f"`data_dir`: the archive '{path}' contains the path '{name}', which leads out of it. Make the archive "
                "again from within the folder of the pictures, with relative paths"
            )
        if information.flag_bits & ENCRYPTED:
            raise UserError(
                f"`data_dir`: the archive '{path}' contains encrypted files, such as '{name}'. Unpack it with your "
                "password, and pass the folder instead"
            )
        if not information.is_dir() and not name.endswith("/"):
            files[os.path.normpath(name)] = information
    return _OpenArchive(file, files)
