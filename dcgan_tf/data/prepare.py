"""Decode, crop and resize once: whatever the source, training reads one memory-mapped uint8 array afterwards."""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import io
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import zlib

import numpy as np
from tqdm import tqdm

from dcgan_tf.config import plan
from dcgan_tf.config.combinations import refuse_learning_rates_of_zero
from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import Recipe
from dcgan_tf.data.points import PointData, PointSource
from dcgan_tf.data.shards import (
    HEADER_BYTES,
    ShardResult,
    convert_shard,
    load_results,
    pack,
    plan_shards,
    remove_results,
    write_header,
)
from dcgan_tf.data.sources import Source, find_source
from dcgan_tf.errors import UserError

FORMAT_VERSION = 4
FALLBACK_SIZE = "64"
CHECKED_BLOCK_BYTES = 16 * 2**20
CHECKED_BLOCKS = 64
BAD_FILES_REPORT = "bad_files.txt"
BAD_FILES_NAMED = 10


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
        directory: where the files are; its name is the key of source and settings.
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


def resolve(config: Config, source: Source) -> Config:
    """Replaces ``auto``: by the data's own channels, and its own size where a network can be built for it, else 64.
    Settles how many blocks there are.

    Settles the names of the classes, too; raises UserError where a conditional run would have none.
    """
    config = dataclasses.replace(config, class_names=source.class_names)
    if config.draws_points:
        return config
    size, channels = config.image_size, config.channels
    if size == "auto":
        size = FALLBACK_SIZE
        if source.height and source.width:
            with contextlib.suppress(ValueError):
                plan.plan_blocks(source.height, source.width, config.blocks)
                size = plan.format_size(source.height, source.width)
    if channels == "auto":
        channels = str(source.channels)
    if config.conditional and len(source.class_names) < 2:
        raise UserError(
            f"--conditional: {config.dataset} has no classes to condition on. Leave it out, or sort the pictures into "
            "one folder a class and use --dataset=folder"
        )
    config = dataclasses.replace(config, image_size=size, channels=channels)
    config.validate()  # What was auto could not be checked before.
    if config.architecture == "dcgan":  # So that a run keeps its networks where a later release chooses others.
        blocks = plan.plan_blocks(*config.height_and_width, config.blocks).blocks
        config = dataclasses.replace(config, blocks=blocks)
    return config


def settle_length(config: Config, count: int) -> Config:
    """Turns epochs into steps, for ``count`` images; raises UserError where they are fewer than a batch."""
    if count < 2:
        raise UserError(f"--dataset={config.dataset} ({config.split}): expected at least 2 images. Received: {count}")
    if count < config.batch_size:
        raise UserError(
            f"--batch_size: expected at most the {count} images of {config.dataset} ({config.split}). "
            f"Received: {config.batch_size}. Use --batch_size={max(2, count // 2)}, or more images"
        )
    if not config.epochs:
        return config
    images_a_step = config.batch_size * config.discriminator_steps
    config = dataclasses.replace(config, steps=max(1, math.ceil(config.epochs * count / images_a_step)))
    config.validate()  # Settings that depend on the length
    refuse_learning_rates_of_zero(config)
    return config


def prepare(config: Config) -> tuple[Config, ImageData | PointData]:
    """Opens the prepared data of a configuration, preparing it first where that was not done yet.

    Args:
        config: names the data set, the split, the image size and the folders.

    Returns:
        The configuration, complete, and the data.

    Raises:
        UserError: the data set cannot be had, is smaller than a batch, or has changed since the run began.
    """
    source = find_source(config)
    config = resolve(config, source)
    if isinstance(source, PointSource):
        points = source.draw()
        return dataclasses.replace(settle_length(config, len(points.images)), data_digest=points.digest), points
    directory = cache_root(config) / _cache_key(config, source)
    data = _open(directory)
    if data is not None and (directory / BAD_FILES_REPORT).exists():
        _check_bad_files(config, directory, data.bad_files, len(data.images))
    if data is None:
        _build(config, source, directory)
        data = _open(directory)
        if data is None:
            raise UserError(
                f"the prepared data in '{directory}' cannot be read back. Check the disk, or use --cache_dir"
            )
    config = settle_length(config, len(data.images))
    if config.data_digest not in ("", data.digest):
        raise UserError(
            f"--dataset={config.dataset}: the images of {data.source} have changed since this run began. Bring the "
            "old ones back to resume it, or start a new run"
        )
    if config.conditional and data.labels.min() < 0:
        raise UserError(
            f"--conditional: some images of {config.dataset} ({config.split}) have no label. Use another --split"
        )
    return dataclasses.replace(config, data_digest=data.digest), data


def cache_root(config: Config) -> pathlib.Path:
    if config.cache_dir:
        return pathlib.Path(config.cache_dir).expanduser()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dcgan_tf"


def _cache_key(config: Config, source: Source) -> str:
    """Readable, and different wherever the pixels may differ."""
    recipe = dataclasses.asdict(Recipe.of(config))
    settings = json.dumps([FORMAT_VERSION, source.full_name, source.fingerprint, config.split, recipe])
    name = f"{source.full_name}-{config.split}-{config.image_size}x{config.channels}"
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
    return f"{readable}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def _build(config: Config, source: Source, directory: pathlib.Path) -> None:
    """Converts the source shard by shard, continuing where an interrupted preparation stopped."""
    unfinished = directory.with_name(f".preparing-{directory.name}")
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--cache_dir: cannot write to '{directory.parent}': {error.strerror}. Choose another folder"
        ) from None
    with open(unfinished / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another process is preparing the same data: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if directory.exists():
            return
        source.prepare()  # Within the lock: TensorFlow Datasets fails where two processes prepare the same.
        count, recipe = source.count(), Recipe.of(config)
        row_shape = (recipe.height, recipe.width, recipe.channels)
        shards = plan_shards(count, math.prod(row_shape))
        rows_file = unfinished / "images.npy"
        results = load_results(unfinished, shards) if rows_file.exists() else {}
        write_header(rows_file, (count, *row_shape))
        with tqdm(total=count, desc="preparing images", unit=" images", mininterval=0.5) as progress:
            progress.update(sum(shard.stop - shard.first for shard in results))
            work = functools.partial(convert_shard, recipe=recipe, rows_file=rows_file)
            for result in source.map_shards(work, [shard for shard in shards if shard not in results]):
                result.save(unfinished)
                results[result.shard] = result
                progress.update(result.shard.stop - result.shard.first)
        _finish(config, source, [results[shard] for shard in shards], unfinished, row_shape)
        os.rename(unfinished, directory)


def _finish(
    config: Config,
    source: Source,
    results: list[ShardResult],
    unfinished: pathlib.Path,
    row_shape: tuple[int, ...],
) -> None:
    """Makes complete, checked data of the rows written, unless too many files were bad."""
    labels = np.array([label for result in results for label in result.labels], np.int64)
    bad = [f"{name}: {reason}" for result in results for name, reason in result.bad]
    rows_file = unfinished / "images.npy"
    if bad:
        report = "\n".join(bad) + "\n"
        (unfinished / BAD_FILES_REPORT).write_text(report, encoding="utf-8", errors="backslashreplace")
        _check_bad_files(config, unfinished, len(bad), len(labels))
        rows_file = pack(rows_file, results, int(np.prod(row_shape)))
        write_header(rows_file, (len(labels), *row_shape))
    np.save(unfinished / "labels.npy", labels)
    information = {
        "format": FORMAT_VERSION,
        "source": source.full_name,
        "class_names": source.class_names,
        "bad_files": len(bad),
        "checksums": {"images.npy": _checksums(rows_file), "labels.npy": _checksums(unfinished / "labels.npy")},
    }
    (unfinished / "info.json").write_text(json.dumps(information, indent=1))
    remove_results(unfinished, results)
    os.replace(rows_file, unfinished / "images.npy")
    (unfinished / "lock").unlink()


def _check_bad_files(config: Config, directory: pathlib.Path, bad: int, good: int) -> None:
    """Says how many files were skipped; raises UserError where they are more than ``max_bad_share`` of all."""
    with open(directory / BAD_FILES_REPORT, encoding="utf-8") as report:
        first = [line.rstrip("\n") for line in itertools.islice(report, BAD_FILES_NAMED)]
    if bad / (bad + good) > config.max_bad_share or not good:
        raise UserError(
            f"--data_dir: {bad} of {bad + good} pictures cannot be used, more than --max_bad_share="
            f"{config.max_bad_share:g}. The first: {'; '.join(first)}. Mend or remove them, or allow a larger share"
        )
    print(f"{bad} of {bad + good} pictures cannot be used and were skipped, such as {first[0]}")


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
        file = open(directory / "images.npy", "rb", buffering=0)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        class_names, source = tuple(information["class_names"]), information["source"]
        digest = hashlib.sha256(json.dumps(information["checksums"], sort_keys=True).encode()).hexdigest()[:16]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"The prepared data in '{directory}' is damaged ({error}): preparing it again.")
        shutil.rmtree(directory)
        return None
    return ImageData(images, labels, class_names, source, information["bad_files"], digest, directory, file)


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
