"""Prepared data on disk, opened only where they are what was written."""

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
    """Prepared data were read, and are not what was written."""

    def __init__(self, directory: pathlib.Path, reason: object) -> None:
        super().__init__(str(reason))
        self.directory = directory


@dataclasses.dataclass(frozen=True)
class ImageData:
    """A prepared data set.

    Attributes:
        images: uint8 [count, height, width, channels], memory-mapped and read-only; for many rows, use `read`.
        labels: int64 [count], -1 where the source has none.
        class_names: names of the labels 0, 1, ...
        source: name and version of the data set, such as ``mnist/3.0.1``.
        bad_files: how many could not be used; they are named in ``bad_files.txt`` in the directory.
        digest: of the contents; the same pixels and labels have the same one on any machine.
        directory: where the files are; its name begins with the key of source and settings.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    source: str
    bad_files: int
    digest: str
    directory: pathlib.Path
    _file: io.FileIO

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images of the given rows, uint8 [rows, height, width, channels], read from the file.

        Not through the memory map: what a process touches of a map counts as its own memory, and Linux maps up to
        megabytes around each touched page, so a run on a large data set would grow with it.
        """
        images = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        for row, image in zip(rows.tolist(), images, strict=True):
            if os.preadv(self._file.fileno(), [image], HEADER_BYTES + row * image.nbytes) != image.nbytes:
                raise OSError(f"the prepared images in '{self.directory}' were cut off while in use")
        return images


def open_data(directory: pathlib.Path, source: "Source | AnonymousSource") -> ImageData | None:
    """The data in a cache directory; None where there is none.

    Raises:
        DamagedError: the data are damaged.
        UserError: they cannot be read, which is no damage.
    """
    try:
        if not directory.exists():
            return None
        information = files.read_json(directory / "info.json")
        sums, bad_files = information["checksums"], information["bad_files"]
        for name in ("images.npy", "labels.npy"):
            if checksums(directory / name) != sums[name]:
                raise ValueError(f"{name} does not have its checksum")
        if not isinstance(bad_files, int) or bad_files < 0:
            raise ValueError(f"info.json counts {bad_files!r} bad files")
        images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
        file = open(directory / "images.npy", "rb", buffering=0)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        digest = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()[:16]
    except (*ABSENT, ValueError, KeyError, TypeError) as error:
        raise DamagedError(directory, error) from error
    except OSError as error:  # Too many open files, a permission, a network that fails
        raise UserError(
            f"`cache_dir`: cannot read the prepared data in '{directory}': {error.strerror or error}. Nothing was "
            "removed. Fix that and repeat the command, or use another `cache_dir`"
        ) from None
    return ImageData(images, labels, source.class_names, source.full_name, bad_files, digest, directory, file)


def checksums(path: pathlib.Path) -> dict[str, int]:
    """CRC-32 by offset, of blocks spread evenly over the file: all of it up to 1 GiB, so that a start stays quick."""
    size = path.stat().st_size
    block_count = -(-size // CHECKED_BLOCK_BYTES)
    chosen = sorted({round(i) for i in np.linspace(0, block_count - 1, min(block_count, CHECKED_BLOCKS))})
    sums = {"size": size}
    with open(path, "rb") as file:
        for block in chosen:
            file.seek(block * CHECKED_BLOCK_BYTES)
            sums[str(block * CHECKED_BLOCK_BYTES)] = zlib.crc32(file.read(CHECKED_BLOCK_BYTES))
    return sums
