"""Decodes, crops and resizes every source once, into one uint8 array that training reads."""

import contextlib
import dataclasses
import functools
import glob
import hashlib
import itertools
import json
import math
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import numpy as np
import PIL

from dcgan_tf import files, progress
from dcgan_tf.config import plan
from dcgan_tf.config.combinations import refuse_bad_combinations, refuse_learning_rates_of_zero
from dcgan_tf.config.sections.data import OWN_PICTURES
from dcgan_tf.config.settings import Config
from dcgan_tf.data import listing
from dcgan_tf.data.arrays import ARRAY, AnonymousSource
from dcgan_tf.data.cache import DamagedError, ImageData, checksums, open_data
from dcgan_tf.data.locks import locked
from dcgan_tf.data.pictures import Recipe
from dcgan_tf.data.points import PointData, PointSource
from dcgan_tf.data.shards import (
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
from dcgan_tf.paths import in_home
from dcgan_tf.progress import logger

FORMAT_VERSION = 3
FALLBACK_SIZE = "64"
BAD_FILES_REPORT = "bad_files.txt"
MAX_BAD_FILES_NAMED = 10
MAX_REBUILDS = 5
MIN_IMAGES = 2


def resolve(config: Config, source: Source) -> Config:
    """Completes a configuration from its data.

    Replaces ``auto`` channels with those of the data. Replaces an ``auto`` size with that of the data if a network can
    be built for it, and otherwise with 64. Fills in the number of blocks, the names of the classes, and the rules that
    chose the pictures.

    Raises:
        UserError: The run is conditional and the data has no classes, or the completed settings contradict each other.
    """
    rules = config.data_rules or listing.RULES
    config = dataclasses.replace(config, class_names=source.class_names, data_rules=rules)
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
            f"`conditional=True`: {config.dataset} has no classes to condition on. Remove `conditional`, or sort the "
            "pictures into one folder per class, or list their classes in a labels.csv, and use `dataset=folder`"
        )
    config = dataclasses.replace(config, image_size=size, channels=channels)
    refuse_bad_combinations(config)  # Values that were auto could not be checked earlier.
    if config.architecture == "dcgan":  # Stored, so that a run keeps its networks if a later release chooses others.
        blocks = plan.plan_blocks(*config.height_and_width, config.blocks).blocks
        config = dataclasses.replace(config, blocks=blocks)
    return config


def refuse_few_images(config: Config, count: int) -> None:
    """Raises UserError if there are too few images for training or evaluation."""
    if count < MIN_IMAGES:
        raise UserError(
            f"`dataset={config.dataset}` ({config.split}): expected at least {MIN_IMAGES} images. Received: {count}"
        )


def settle_length(config: Config, count: int) -> Config:
    """Converts epochs to steps for ``count`` images; raises UserError if these are fewer than a batch."""
    refuse_few_images(config, count)
    if count < config.batch_size:
        raise UserError(
            f"`batch_size`: expected at most the {count} images of {config.dataset} ({config.split}). "
            f"Received: {config.batch_size}. Use `batch_size={max(2, count // 2)}`, or more images"
        )
    if not config.epochs:
        return config
    images_a_step = config.batch_size * config.discriminator_steps
    config = dataclasses.replace(config, steps=max(1, math.ceil(config.epochs * count / images_a_step)))
    refuse_bad_combinations(config)  # Some rules depend on the number of steps.
    refuse_learning_rates_of_zero(config)
    return config


def prepare(config: Config, source: Source | None = None) -> tuple[Config, ImageData | PointData]:
    """Completes a configuration and opens its data, after preparing it if necessary.

    Args:
        config: Gives the data set, the split, the image size and the folders.
        source: Source of the images that a program passes in; by default, the source that the configuration names.

    Returns:
        The complete configuration and the data.

    Raises:
        UserError: The data set is not available, is smaller than a batch, or has changed since the run began.
    """
    if source is None and config.dataset == ARRAY:
        return config, find_passed_in(config)
    source = source or find_source(config)
    config = resolve(config, source)
    data = source.draw() if isinstance(source, PointSource) else open_images(config, source)
    config = settle_length(config, len(data.images))
    return dataclasses.replace(config, data_digest=data.digest), data


def open_images(config: Config, source: Source) -> ImageData:
    """Opens the prepared images of a source, after preparing them if necessary.

    Args:
        config: A configuration that `resolve` has completed.
        source: Source of the images.

    Raises:
        UserError: The images are not available, too many of them are bad, or they have changed since the run began.
    """
    for note in source.notes:
        _say_once(note)
    data = _open_or_build(config, source, cache_root(config) / _cache_key(config, source))
    if data.bad_files:
        first = _refuse_many_bad_files(config, data.directory, data.bad_files, len(data.images))
        logger.info(
            f"{data.bad_files} of {data.bad_files + len(data.images)} pictures cannot be used and were skipped{first}"
        )
    refuse_few_images(config, len(data.images))
    if config.data_digest not in ("", data.digest):
        raise UserError(
            f"`dataset={config.dataset}`: the images of {data.source} have changed since this run began. Restore the "
            "old ones to resume it, or start a new run"
        )
    if config.conditional and data.labels.min() < 0:
        raise UserError(
            f"`conditional=True`: some images of {config.dataset} ({config.split}) have no label. Use another `split`"
        )
    if config.conditional and not config.data_digest:  # A run that has already begun may continue.
        _refuse_empty_classes(config, data.labels)
    return data


def find_passed_in(config: Config) -> ImageData:
    """Opens the prepared images of a run whose images a program passed in.

    Raises:
        UserError: The images are no longer in the cache.
    """
    height, width, channels = config.sample_shape
    source = AnonymousSource(height, width, channels, config.class_names)
    for directory in sorted(cache_root(config).glob(f"{ARRAY}-*")):
        with contextlib.suppress(DamagedError):
            data = open_data(directory, source)
            if data is not None and data.digest == config.data_digest:
                return data
    raise UserError(
        "the images of this run were passed in by a program, and they are no longer in the cache. Continue the run "
        "with dcgan_tf.train(images, run_dir=...), or give the cache folder with `cache_dir`"
    )


def _refuse_empty_classes(config: Config, labels: np.ndarray) -> None:
    """Refuses classes without images, because a generator cannot learn to draw them.

    Raises:
        UserError: There is such a class in data that the user chose. For whole splits of TensorFlow Datasets, which
            the user cannot change, there is only a warning.
    """
    counts = np.bincount(labels, minlength=len(config.class_names))
    empty = [name for name, count in zip(config.class_names, counts, strict=True) if not count]
    if not empty:
        return
    text = (
        f"`conditional=True`: {config.dataset} ({config.split}) has no image of {len(empty)} of its "
        f"{len(counts)} classes, such as {empty[0]!r}"
    )
    if config.dataset not in (*OWN_PICTURES, ARRAY) and "[" not in config.split:
        logger.warning(f"{text}. The generator cannot learn to draw them")
        return
    raise UserError(
        f"{text}. Add images of each class, use a larger `split`, or remove `conditional`", field="conditional"
    )


def cache_root(config: Config) -> pathlib.Path:
    """The folder of all prepared data: `cache_dir`, or a folder in the user's cache."""
    if config.cache_dir:
        return pathlib.Path(config.cache_dir).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(base) if base else in_home(".cache", "cache_dir")) / "dcgan_tf"


def _cache_key(config: Config, source: Source) -> str:
    """A readable folder name that differs whenever the pixels may differ."""
    recipe = dataclasses.asdict(Recipe.of(config))
    limits = recipe.pop("limits")
    recipe["max_pixels"] = limits["max_pixels"]
    if limits["max_side"] != Config.max_side:  # Omitted otherwise, to find data prepared before this limit existed.
        recipe["max_side"] = limits["max_side"]
    settings = json.dumps([FORMAT_VERSION, source.full_name, source.fingerprint, config.split, recipe])
    return f"{readable_name(config, source)}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def readable_name(config: Config, source: Source) -> str:
    """A readable name for files that describe the images of a split at their prepared size."""
    parts = (source.full_name, config.split, f"{config.image_size}x{config.channels}")
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-")


_say_once = functools.cache(logger.info)


def _open_or_build(config: Config, source: Source, directory: pathlib.Path) -> ImageData:
    """Opens the prepared data of a cache key, after making it if it is missing or damaged."""
    with contextlib.suppress(DamagedError):
        data = _find(config, source, directory)
        if data is not None:
            return data
    with locked(directory, "cache_dir"):
        for _ in range(MAX_REBUILDS):
            try:  # Look again: another process may have made or repaired the data while this one waited.
                data = _find(config, source, directory)
                if data is not None:
                    return data
                _build(config, source, directory)
            except DamagedError as damage:
                logger.info(f"The prepared data in '{damage.directory}' is damaged ({damage}): preparing it again.")
                shutil.rmtree(damage.directory)
    raise UserError(
        f"the prepared data in '{directory}' cannot be read back. Check the disk, or choose another `cache_dir`"
    )


def _find(config: Config, source: Source, directory: pathlib.Path) -> ImageData | None:
    """The prepared data of a cache key; None if there is none.

    This is the data that the run began with, if it is found. Otherwise it is data without bad files, or data that this
    version of Pillow has read.
    """
    readings = [directory, _as_read_by_this_pillow(directory)]
    if config.data_digest:
        readings += sorted(directory.parent.glob(f"{glob.escape(directory.name)}-pillow-*"))
    found = [data for reading in dict.fromkeys(readings) if (data := open_data(reading, source)) is not None]
    of_the_run = [data for data in found if data.digest == config.data_digest]
    current = [data for data in found if data.directory in readings[:2]]
    return next(iter(of_the_run or current), None)


def _as_read_by_this_pillow(directory: pathlib.Path) -> pathlib.Path:
    """The folder for data with bad files. It names the version of Pillow, because another may be able to read them."""
    return directory.with_name(f"{directory.name}-pillow-{PIL.__version__}")


def _build(config: Config, source: Source, directory: pathlib.Path) -> None:
    """Converts the source shard by shard, and continues an interrupted preparation."""
    source.prepare()
    count, recipe = source.count(), Recipe.of(config)
    row_shape = (recipe.height, recipe.width, recipe.channels)
    shards = plan_shards(count, math.prod(row_shape))
    with _writing_to(directory.parent):
        unfinished = directory.with_name(f".preparing-{_as_read_by_this_pillow(directory).name}")
        unfinished.mkdir(exist_ok=True)
        rows_file = unfinished / "images.npy"
        results = load_results(unfinished, shards) if rows_file.exists() else {}
        write_header(rows_file, (count, *row_shape))
        with progress.bar(total=count, desc="preparing images", unit=" images") as shown:
            shown.update(sum(shard.stop - shard.first for shard in results))
            work = functools.partial(convert_shard, recipe=recipe, rows_file=rows_file)
            for result in source.map_shards(work, [shard for shard in shards if shard not in results]):
                result.save(unfinished)
                results[result.shard] = result
                shown.update(result.shard.stop - result.shard.first)
        bad = _finish(config, source, [results[shard] for shard in shards], unfinished, row_shape)
        os.rename(unfinished, _as_read_by_this_pillow(directory) if bad else directory)


@contextlib.contextmanager
def _writing_to(root: pathlib.Path) -> Iterator[None]:
    """Raises UserError if the block cannot write. For a picture that cannot be read, the block itself raises it."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"`cache_dir`: the prepared data cannot be written to '{root}' ({files.reason(error)}). "
            f"{files.way_on(error)} and repeat the command to continue"
        ) from None


def _finish(
    config: Config,
    source: Source,
    results: list[ShardResult],
    unfinished: pathlib.Path,
    row_shape: tuple[int, ...],
) -> int:
    """Completes the data after all rows are written, unless too many files are bad; returns the number of bad files."""
    labels = np.array([label for result in results for label in result.labels], np.int64)
    bad = [f"{name}: {reason}" for result in results for name, reason in result.bad]
    rows_file = unfinished / "images.npy"
    if bad:
        report = "\n".join(bad) + "\n"
        (unfinished / BAD_FILES_REPORT).write_text(report, encoding="utf-8", errors="backslashreplace")
        _refuse_many_bad_files(config, unfinished, len(bad), len(labels))
        rows_file = pack(rows_file, results, int(np.prod(row_shape)))
        write_header(rows_file, (len(labels), *row_shape))
    np.save(unfinished / "labels.npy", labels)
    information = {
        "format": FORMAT_VERSION,
        "source": source.full_name,
        "class_names": source.class_names,
        "bad_files": len(bad),
        "checksums": {"images.npy": checksums(rows_file), "labels.npy": checksums(unfinished / "labels.npy")},
    }
    (unfinished / "info.json").write_text(json.dumps(information, indent=1))
    remove_results(unfinished, results)
    os.replace(rows_file, unfinished / "images.npy")
    return len(bad)


def _refuse_many_bad_files(config: Config, directory: pathlib.Path, bad: int, good: int) -> str:
    """Returns a phrase that names the first bad file; raises UserError if their share exceeds ``max_bad_share``."""
    first: list[str] = []
    with contextlib.suppress(FileNotFoundError), open(directory / BAD_FILES_REPORT, errors="replace") as report:
        first = [line.rstrip("\n") for line in itertools.islice(report, MAX_BAD_FILES_NAMED)]
    if bad / (bad + good) > config.max_bad_share or not good:
        raise UserError(
            f"`data_dir`: {bad} of {bad + good} pictures cannot be used, more than "
            f"`max_bad_share={config.max_bad_share:g}`. The first are: {'; '.join(first)}. Fix or "
            "remove them, or allow a larger share"
        )
    return f", such as {first[0]}" if first else ""
