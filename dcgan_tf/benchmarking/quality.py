"""Measures how good a generator becomes in a fixed time: runs a program, and judges the samples that it writes.

Any program can take part. It gets the training images as a file, and writes its samples to files. `docs/benchmark.md`
has the rules.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from dcgan_tf import __version__, files, progress
from dcgan_tf.benchmarking.machine import describe_device
from dcgan_tf.config.sections.length import MAX_STEPS
from dcgan_tf.config.settings import Config, changed_settings
from dcgan_tf.data.arrays import open_array
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.prepare import ImageData, cache_root, prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.figures import FeatureSets, Figure, format_value, measure
from dcgan_tf.evaluation.judge import own_network
from dcgan_tf.evaluation.sets import ImageSet
from dcgan_tf.evaluation.splits import dataset_name, open_split, open_test_split, random_rows
from dcgan_tf.generation.sampling import generate
from dcgan_tf.training.devices import settle_precision
from dcgan_tf.training.gan import GAN

SAMPLES = 10_000
OURS = "dcgan_tf"
REAL = "real training images"
NOT_STATED = "not stated"
KEY = ("data", "digest", "judge", "program", "seed", "minutes")
# What does not belong to the settings of a program: the data and the seed have places of their own in a row.
NOT_SETTINGS = ("dataset", "data_dir", "manual_dir", "cache_dir", "seed")
METRICS = ("frechet_distance", "kernel_distance")
# Another program gets TensorFlow and Keras as they are installed.
SET_BY_THIS_PACKAGE = (
    "KERAS_BACKEND", "KERAS_HOME", "TF_USE_LEGACY_KERAS", "TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL",
    "TF_FORCE_GPU_ALLOW_GROWTH",
)  # fmt: skip
# The rows of a line of the table agree in these.
GROUP = ("data", "size", "digest", "program", "judge", "split", "device")
REQUIRED = (*KEY, *GROUP, "settings", "frechet_distance", "n_real", "n_fake")
FIRST_COLUMNS = "| Data | Program | Seeds | "


@dataclasses.dataclass(frozen=True)
class Entry:
    """A program that takes part.

    Attributes:
        name: Its name in the table.
        command: How to start it; ``--images=FILE --minutes=2,5,15 --seed=N --out=FOLDER`` is added. Empty: dcgan_tf
            itself is trained.
        samples: A file of samples to judge without running the program; or empty.
    """

    name: str
    command: str = ""
    samples: str = ""


class Results:
    """The rows of the results file, one JSON object per line. A later row replaces one with the same key.

    Args:
        path: Path of the file. The Markdown table is written next to it.

    Raises:
        UserError: The file is damaged, or there is another file where the table would be written.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path, self._table = path, path.with_suffix(".md")
        self.rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        try:
            for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
                if _is_json(line):
                    self._keep(json.loads(line))
                else:  # A full disk or a power failure can cut a row off.
                    progress.logger.warning("A row of '%s' is incomplete and is left out: %s", path, line[:40])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"`results`: '{path}' is damaged ({files.reason(error)}). Use another file") from None
        if self._table.exists() and not self._table.read_text(errors="replace").startswith(FIRST_COLUMNS):
            raise UserError(
                f"`results`: the table would replace '{self._table}', which is something else. Use another name"
            )

    def find(self, *key: Any) -> dict[str, Any] | None:
        """The row with this key, if there is one."""
        return self.rows.get(key)

    def add(self, row: dict[str, Any]) -> None:
        """Adds a row, and appends it to the file immediately."""
        starts_line = not self._path.exists() or self._path.read_bytes()[-1:] in (b"", b"\n")
        with open(self._path, "a", encoding="utf-8") as file:
            file.write("\n" * (not starts_line) + json.dumps(row) + "\n")
        self._keep(row)

    def write_table(self) -> pathlib.Path:
        """Writes the Markdown table, whole or not at all."""
        return files.write_text(self._table, format_results(self.rows.values()))

    def _keep(self, row: dict[str, Any]) -> None:
        if missing := [name for name in REQUIRED if name not in row]:
            raise ValueError(f"a row has no '{missing[0]}'")
        self.rows[tuple(row[name] for name in KEY)] = row


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def run_quality(entry: Entry, config: Config, minutes: list[float], results: Results) -> None:
    """Runs a program, judges its samples after each training time, and adds the missing rows.

    Args:
        entry: The program.
        config: Settings of the data set, the seed and, for dcgan_tf itself, the training.
        minutes: Training times in minutes, ascending.
        results: Receives the rows.

    Raises:
        UserError: The program failed, or its samples are not what is expected.
    """
    config, data = prepare(config)
    if not isinstance(data, ImageData):
        raise UserError(f"`dataset`: expected a data set of images. Received: {config.dataset}")
    config = settle_precision(config)
    name, settings = dataset_name(config), _settings(entry, config)
    judge = Judge(config, data)
    found = {mark: results.find(name, data.digest, judge.name, entry.name, config.seed, mark) for mark in minutes}
    for row in found.values():
        if row is not None and row["settings"] != settings:
            raise UserError(
                f"`name`: the results already have '{entry.name}' with other settings "
                f"({row['settings'] or 'defaults'}). Give this one another name"
            )
    missing = [mark for mark, row in found.items() if row is None]
    if not missing:
        progress.logger.info(f"{entry.name} on {name}, seed {config.seed}: all results are there already.")
        return
    if results.find(name, data.digest, judge.name, REAL, 0, 0) is None:
        results.add(judge.row(REAL, "", 0, 0, judge.measure_training_images()))
    failure = None
    with tempfile.TemporaryDirectory(prefix="dcgan_tf-quality-") as folder:
        for mark, samples, facts in _samples(entry, config, data, missing, pathlib.Path(folder)):
            try:
                figures = judge.measure(samples())
            except UserError as error:  # What is right is judged first, because it took minutes to make.
                failure = failure or UserError(f"after {mark:g} min: {error}")
                continue
            row = judge.row(entry.name, settings, config.seed, mark, figures) | facts
            results.add(row)
            progress.logger.info(f"{entry.name} on {name} after {mark:g} min: {_cell([row])}")
    if failure is not None:
        raise failure


def _settings(entry: Entry, config: Config) -> str:
    """What distinguishes an entry from another one of the same name."""
    if entry.samples:
        return f"samples {hashlib.sha256(read_samples(pathlib.Path(entry.samples)).tobytes()).hexdigest()[:12]}"
    if entry.command:
        return entry.command
    left_out = (*NOT_SETTINGS, "steps" if config.steps == MAX_STEPS else "")
    return ", ".join(setting for setting in changed_settings(config) if setting.partition("=")[0] not in left_out)


class Judge:
    """Compares samples with the held-out images of a data set, always in the same way.

    Args:
        config: A complete configuration of the data set.
        data: Its training images.
    """

    def __init__(self, config: Config, data: ImageData) -> None:
        self._name, self._digest = dataset_name(config), data.digest
        self._network = own_network(config, data.class_names, config.sample_shape)
        self.name = f"{self._network.name} {self._network.digest}"
        test, training = open_test_split(config), open_split(config, config.split)
        cache = cache_root(config) / "features"
        self._split = test.describe()
        self._real = ImageSet.of_data(test.data, random_rows(len(test.data.images), SAMPLES), cache)
        self._training = ImageSet.of_data(training, random_rows(len(training.images), SAMPLES), cache)

    def measure(self, samples: np.ndarray) -> list[Figure]:
        """The metrics of the first 10,000 samples, which are resized if their size is different.

        Args:
            samples: uint8 [N, height, width, channels].

        Raises:
            UserError: There are too few of them, or they have other channels. The distance depends on their number.
        """
        shape = self._real.shape
        if samples.shape[3] != shape[2]:
            raise UserError(f"expected samples with {shape[2]} channels. Received: {samples.shape[3]}")
        if len(samples) < SAMPLES:
            raise UserError(f"expected {SAMPLES:,} samples. Received: {len(samples):,}")
        samples = samples[:SAMPLES]
        if samples.shape[1:3] != shape[:2]:
            samples = _resized(samples, shape)
        rows = random_rows(len(samples), len(samples))
        return self._measure(ImageSet("samples", shape, rows, lambda chosen: samples[chosen]))

    def measure_training_images(self) -> list[Figure]:
        """The metrics of at most 10,000 training images, which a perfect generator would reach."""
        return self._measure(self._training)

    def _measure(self, images: ImageSet) -> list[Figure]:
        networks = [self._network]
        real, fake = (
            side.features(networks, description)[self._network.name]
            for side, description in ((self._real, "real images"), (images, "samples"))
        )
        figures, left_out = measure(FeatureSets(self._network, real, fake, None, self._split), only_distances=True)
        if left_out:
            raise UserError(f"`samples`: {'; '.join(left_out.values())}")
        return figures

    def row(self, program: str, settings: str, seed: int, minutes: float, figures: list[Figure]) -> dict[str, Any]:
        """A row of the results: each metric with its standard error, and how it was measured."""
        found = {figure.name.split("[")[0]: figure for figure in figures}
        first = figures[0]
        return {
            "data": self._name,
            "digest": self._digest,
            "size": "x".join(map(str, self._real.shape)),
            "program": program,
            "settings": settings,
            "seed": seed,
            "minutes": minutes,
            **{name: [found[name].value, found[name].standard_error] for name in METRICS},
            "judge": first.network,
            "n_real": first.n_real,
            "n_fake": first.n_fake,
            "split": first.split,
            "device": describe_device(),
            "dcgan_tf": __version__,
            "tensorflow": tf.__version__,
        }


def read_samples(path: pathlib.Path) -> np.ndarray:
    """Reads samples; raises UserError unless they are a uint8 array [N, height, width, channels]."""
    try:
        samples = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(samples, np.ndarray):
            raise ValueError("expected an .npy file with one array")
        open_array(samples[:1] if samples.ndim else samples)  # Checks the type and the shape
    except FileNotFoundError:
        raise UserError(f"`samples`: there is no file '{path}'") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"`samples`: '{path}': {files.reason(error)}") from None
    return samples


def format_results(rows: Iterable[dict[str, Any]]) -> str:
    """The Markdown table: the Frechet distance by program and minutes, with means over the seeds."""
    rows = list(rows)
    minutes = sorted({row["minutes"] for row in rows} - {0})
    lines = [
        FIRST_COLUMNS + " | ".join(f"{mark:g} min" for mark in minutes) + " | Judge | Device |",
        "|---" * (5 + len(minutes)) + "|",
    ]
    for key in dict.fromkeys(tuple(row[name] for name in GROUP) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in GROUP) == key]
        data, size, _, program, judge, split, device = key
        cells = [_cell([row for row in own if row["minutes"] in (mark, 0)]) for mark in minutes]
        seeds = "" if program == REAL else len({row["seed"] for row in own})
        images = own[0]["n_fake"]
        label = program.replace("|", "\\|") + f", only {images:,}" * (images < SAMPLES)
        judged = f"{judge}, {own[0]['n_real']:,} images of {split}"
        lines.append(f"| {data}, {size} | {label} | {seeds} | {' | '.join(cells)} | {judged} | {device} |")
    return "\n".join(lines) + "\n"


def _cell(rows: list[dict[str, Any]]) -> str:
    values = [row["frechet_distance"][0] for row in rows]
    if len(values) > 1:
        return format_value(float(np.mean(values)), float(np.std(values, ddof=1)))
    return format_value(*rows[0]["frechet_distance"]) if rows else ""


# A training time in minutes, a function that reads the samples made in it, and further facts for the row.
Made = Iterator[tuple[float, Callable[[], np.ndarray], dict[str, Any]]]


def _samples(entry: Entry, config: Config, data: ImageData, minutes: list[float], folder: pathlib.Path) -> Made:
    if entry.samples:
        for mark in minutes:
            yield mark, functools.partial(read_samples, pathlib.Path(entry.samples)), {"device": NOT_STATED}
    elif entry.command:
        yield from _run_program(entry, config, data, minutes, folder)
    else:
        yield from _train(config, data, minutes)


def _run_program(entry: Entry, config: Config, data: ImageData, minutes: list[float], folder: pathlib.Path) -> Made:
    images = folder / "images.npy"
    training = open_split(config, config.split)
    np.save(images, training.read(np.arange(len(training.images))))
    marks = ",".join(f"{mark:g}" for mark in minutes)
    arguments = {"images": images, "minutes": marks, "seed": config.seed, "out": folder}
    command = [*_split_command(entry.command), *(f"--{name}={value}" for name, value in arguments.items())]
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_THIS_PACKAGE}
    progress.logger.info(f"Running {shlex.join(command)}")
    start, failure = time.monotonic(), None
    try:
        subprocess.run(command, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError) as error:
        failure = UserError(f"`program`: '{entry.command}' failed: {files.reason(error)}")
    facts = {"wall_seconds": round(time.monotonic() - start, 1)}
    for mark in minutes:
        samples = folder / f"samples-{mark:g}.npy"
        if samples.exists() or not failure:  # What it wrote before it failed is judged.
            yield mark, functools.partial(read_samples, samples), facts
    if failure:
        raise failure


def _split_command(command: str) -> list[str]:
    """The words of a command line; raises UserError if a quotation mark has no partner."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"`program`: '{command}' is not a command: {files.reason(error)}") from None


def _train(config: Config, data: ImageData, minutes: list[float]) -> Made:
    """Trains dcgan_tf itself. The clock includes compilation, and stops while samples are drawn and judged."""
    tf.config.experimental.enable_op_determinism()  # As in training
    gan = GAN(config)
    batches = iter(make_batches(data, config, 0, config.steps))
    trained, step = 0.0, 0
    with progress.bar(total=round(60 * minutes[-1]), desc=f"training {OURS}", unit="s") as shown:
        for mark in minutes:
            start = time.perf_counter()
            while step < config.steps and trained + time.perf_counter() - start < 60 * mark:
                count = min(config.steps_per_call, config.steps - step)
                metrics, _ = gan.train_steps(batches, tf.constant(count))
                float(metrics["loss/generator"])  # Waits for the steps.
                step += count
                shown.n = min(round(trained + time.perf_counter() - start), shown.total)
                shown.refresh()
            trained += time.perf_counter() - start
            facts = {"steps": step, "seconds": round(trained, 1), "mixed_precision": config.mixed_precision}
            yield mark, functools.partial(generate, gan.ema_generator, np.arange(SAMPLES)), facts


def _resized(samples: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Samples resized to the size of the data (Lanczos, with antialiasing), as training images are resized."""
    size = (shape[1], shape[0])
    rows = (Image.fromarray(image.squeeze(-1) if shape[2] == 1 else image) for image in samples)
    resized = [np.asarray(row.resize(size, Image.Resampling.LANCZOS)).reshape(shape) for row in rows]
    return np.stack(resized)
