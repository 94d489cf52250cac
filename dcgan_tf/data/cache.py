"""Prepared data on disk, opened only if its checksums match what was written."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import zlib

import numpy as np

from dcgan_tf import files
from dcgan_tf.data.arrays import AnonymousSource
from dcgan_tf.data.shards import HEADER_BYTES
from dcgan_tf.data.sources import Source
from dcgan_tf.errors import UserError

CHECKED_BLOCK_BYTES = 16 * 2**20
CHECKED_BLOCKS = 64
ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DamagedError(Exception):
    """Prepared data on disk differs from what was written."""

    def __init__(self, directory: pathlib.Path, reason: object) -> None:
        super().__init__(str(reason))
        self.directory = directory


@dataclasses.dataclass(frozen=True)
class ImageData:
    """A prepared data set.

    Attributes:
        images: uint8 [count, height, width, channels], memory-mapped and read-only; for many rows, use `read`.
        labels: int64 [count]; -1 if the source has no labels.
        class_names: Names of the labels 0, 1, ...
        source: Name and version of the data set, such as ``mnist/3.0.1``.
        bad_files: Number of files that could not be used; ``bad_files.txt`` in the directory lists them.
        digest: Digest of the contents. The same pixels and labels have the same digest on any machine.
        directory: Folder of the files. Its name begins with the key of the source and the settings.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    source: str
    bad_files: int
    digest: str
    directory: pathlib.Path
    _file: io.FileIO
    _window: tuple[slice, slice] = (slice(None), slice(None))

    def centered(self, height: int, width: int) -> "ImageData":
        """The same data, with `read` returning only the central ``height`` x ``width`` pixels of each image."""
        top, left = (self.images.shape[1] - height) // 2, (self.images.shape[2] - width) // 2
        return dataclasses.replace(self, _window=(slice(top, top + height), slice(left, left + width)))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images of the given rows, uint8 [rows, height, width, channels], read from the file.

        The memory map is not used here. The pages of a map that a process touches count as its own memory, and Linux
        maps up to megabytes around each of them, so the memory of a run would grow with the size of its data set.
        """
        images = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        for row, image in zip(rows.tolist(), images, strict=True):
            if os.preadv(self._file.fileno(), [image], HEADER_BYTES + row * image.nbytes) != image.nbytes:
                raise OSError(f"the prepared images in '{self.directory}' were cut off while in use")
        return images[(slice(None), *self._window)]


def open_data(directory: pathlib.Path, source: "Source | AnonymousSource") -> ImageData | None:
    """Opens the data in a cache directory; returns None if the directory does not exist.

    Raises:
        DamagedError: The data is damaged.
        UserError: The data cannot be read, for a reason other than damage.
    """
    try:
        if not directory.exists():
            return None
        information = files.read_json(directory / "info.json")
        sums, bad_files = information["checksums"], information["bad_files"]
        for name in ("images.npy", "labels.npy"):
            if checksums(directory / name) != sums[name]:
                raise ValueError(f"the checksum of {name} does not match")
        if not isinstance(bad_files, int) or bad_files < 0:
            raise ValueError(f"info.json counts {bad_files!r} bad files")
        images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
        file = open(directory / "images.npy", "rb", buffering=0)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        digest = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()[:16]
    except (*ABSENT, ValueError, KeyError, TypeError) as error:
        raise DamagedError(directory, error) from error
    except OSError as error:  # Too many open files, a missing permission or a failing network
        raise UserError(
            f"`cache_dir`: cannot read the prepared data in '{directory}': {error.strerror or error}. Nothing was "
            "removed. Fix the cause and repeat the command, or use another `cache_dir`"
        ) from None
    return ImageData(images, labels, source.class_names, source.full_name, bad_files, digest, directory, file)


def checksums(path: pathlib.Path) -> dict[str, int]:
    """The size of a file in bytes and the CRC-32 of its blocks by offset.

    A file of up to 1 GiB is covered entirely, a larger one by evenly spread blocks.
    """
    size = path.stat().st_size
    block_count = -(-size // CHECKED_BLOCK_BYTES)
    chosen = sorted({round(i) for i in np.linspace(0, block_count - 1, min(block_count, CHECKED_BLOCKS))})
    sums = {"size": size}
    with open(path, "rb") as file:
        for block in chosen:
            file.seek(block * CHECKED_BLOCK_BYTES)
            sums[str(block * CHECKED_BLOCK_BYTES)] = zlib.crc32(file.read(CHECKED_BLOCK_BYTES))
    return sums
