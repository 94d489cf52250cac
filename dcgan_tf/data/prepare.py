"""Decode, crop and resize once: whatever the source, training reads one memory-mapped uint8 array afterwards."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
import zlib

import numpy as np
from PIL import Image
from tqdm import tqdm

from dcgan_tf.config import Config
from dcgan_tf.data.sources import Source, find_source
from dcgan_tf.errors import UserError
from dcgan_tf.models import plan

FORMAT_VERSION = 1
FALLBACK_SIZE = "64"
CHECKED_BLOCK_BYTES = 16 * 2**20
CHECKED_BLOCKS = 64


@dataclasses.dataclass(frozen=True)
class ImageData:
    """A prepared data set.

    Attributes:
        images: uint8 [count, height, width, channels], memory-mapped and read-only.
        labels: int64 [count], -1 where the source has none.
        class_names: names of the labels 0, 1, ...
        source: name and version of the data set, such as ``mnist/3.0.1``.
        directory: where the files are; its name is the key of source and settings.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    source: str
    directory: pathlib.Path


def resolve(config: Config, source: Source) -> Config:
    """Replaces ``auto``: by the data's own channels, and its own size where a network can be built for it, else 64."""
    size, channels = config.image_size, config.channels
    if size == "auto":
        size = FALLBACK_SIZE
        if source.height and source.width:
            with contextlib.suppress(ValueError):
                plan.plan_blocks(source.height, source.width)
                size = plan.format_size(source.height, source.width)
    if channels == "auto":
        channels = str(source.channels)
    return dataclasses.replace(config, image_size=size, channels=channels)


def prepare(config: Config) -> tuple[Config, ImageData]:
    """Opens the prepared data of a configuration, preparing it first where that was not done yet.

    Args:
        config: names the data set, the split, the image size and the folders.

    Returns:
        The configuration with its image size and steps settled, and the data.

    Raises:
        UserError: the data set cannot be had, or is smaller than a batch.
    """
    source: Source | None = None
    if "auto" in (config.image_size, config.channels):
        source = find_source(config)
        config = resolve(config, source)
    directory = _cache_root(config) / _cache_key(config)
    data = _open(directory)
    if data is None:
        _build(config, source or find_source(config), directory)
        data = _open(directory)
        if data is None:
            raise UserError(
                f"the prepared data in '{directory}' cannot be read back. Check the disk, or use --cache_dir"
            )
    count = len(data.images)
    if count < config.batch_size:
        raise UserError(
            f"--batch_size: expected at most the {count} images of {config.dataset} ({config.split}). "
            f"Received: {config.batch_size}"
        )
    if config.epochs:
        config = dataclasses.replace(config, steps=max(1, int(np.ceil(config.epochs * count / config.batch_size))))
    return config, data


def fit(image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """Crops the centre to the wanted aspect ratio, resizes it antialiased (Lanczos), and converts it to gray or RGB.

    Args:
        image: uint8 [any height, any width, 1 or 3].
        height, width: pixels wanted.
        channels: 1 or 3.

    Returns:
        uint8 [height, width, channels].
    """
    if image.shape == (height, width, channels):
        return image
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    scale = min(picture.height / height, picture.width / width)
    left, top = (picture.width - scale * width) / 2, (picture.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return np.asarray(picture).reshape(height, width, channels)


def _cache_root(config: Config) -> pathlib.Path:
    if config.cache_dir:
        return pathlib.Path(config.cache_dir).expanduser()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dcgan_tf"


def _cache_key(config: Config) -> str:
    """Readable, and different wherever the pixels may differ."""
    settings = json.dumps([FORMAT_VERSION, config.dataset, config.split, config.image_size, config.channels])
    name = f"{config.dataset}-{config.split}-{config.image_size}x{config.channels}"
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
    return f"{readable}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def _build(config: Config, source: Source, directory: pathlib.Path) -> None:
    source.prepare()
    height, width = config.height_and_width
    channels = int(config.channels)
    count = source.count()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=".preparing-", dir=directory.parent))
    except OSError as error:
        raise UserError(
            f"--cache_dir: cannot write to '{directory.parent}': {error.strerror}. Choose another folder"
        ) from None
    try:
        labels = np.full(count, -1, np.int64)
        shape = (count, height, width, channels)
        with open(temporary / "images.npy", "wb") as file:
            # Appended, not written through a memory map, so that memory stays flat however large the data set is.
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            examples = tqdm(source.examples(), total=count, desc="preparing images", unit=" images", mininterval=0.5)
            for index, (image, label) in enumerate(examples):
                file.write(fit(image, height, width, channels).tobytes())
                labels[index] = label
        np.save(temporary / "labels.npy", labels)
        information = {
            "format": FORMAT_VERSION,
            "source": source.full_name,
            "shape": shape,
            "class_names": source.class_names,
            "checksums": {name: _checksums(temporary / name) for name in ("images.npy", "labels.npy")},
        }
        (temporary / "info.json").write_text(json.dumps(information, indent=1))
        try:
            os.rename(temporary, directory)
        except OSError:
            if not directory.is_dir():  # Otherwise another process was quicker, with the same data.
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open(directory: pathlib.Path) -> ImageData | None:
    """The data in a cache directory; None where there is none, or where it is damaged, which is said and removed."""
    if not directory.exists():
        return None
    try:
        information = json.loads((directory / "info.json").read_text())
        for name, expected in information["checksums"].items():
            if _checksums(directory / name) != expected:
                raise ValueError(f"{name} does not have its checksum")
        images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        class_names, source = tuple(information["class_names"]), information["source"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"The prepared data in '{directory}' is damaged ({error}): preparing it again.")
        shutil.rmtree(directory)
        return None
    return ImageData(images, labels, class_names, source, directory)


def _checksums(path: pathlib.Path) -> dict[str, int]:
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
