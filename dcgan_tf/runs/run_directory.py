"""Run directories: created by training, reopened to resume, and read by every other command."""

import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from dcgan_tf import files
from dcgan_tf.config.making import make_config
from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import load_config, save_config
from dcgan_tf.errors import UserError
from dcgan_tf.paths import LOCAL, is_address, refuse_undecodable

RUNS_ROOT = pathlib.Path("runs")
CONFIG_FILE = "config.json"
LOCK_FILE = ".lock"
FOLDERS = ("checkpoints", "saved_model")  # The essential folders of a run
DATA_FOLDERS = ("data_dir", "manual_dir", "cache_dir")
FILES = (CONFIG_FILE, LOCK_FILE, "metrics.jsonl")
CLASSES_NAMED = 5  # In a message


@dataclasses.dataclass(frozen=True)
class Run:
    """The settings of a training run, and the paths of its files."""

    directory: pathlib.Path
    config: Config

    def save_config(self) -> None:
        """Writes config.json, which makes the folder a run directory."""
        save_config(self.config, self.directory / CONFIG_FILE)

    @property
    def metrics_file(self) -> pathlib.Path:
        """The file of the scalars, one JSON object per line."""
        return self.directory / "metrics.jsonl"

    @property
    def checkpoints(self) -> pathlib.Path:
        """The folder of the checkpoints, one folder each."""
        return self.directory / "checkpoints"

    @property
    def tensorboard(self) -> pathlib.Path:
        """The folder of TensorBoard's event files."""
        return self.directory / "tensorboard"

    @property
    def samples(self) -> pathlib.Path:
        """The folder of the sample grids, all from the same latents."""
        return self.directory / "samples"

    @property
    def saved_model(self) -> pathlib.Path:
        """The folder of the exported versions, one folder each."""
        return self.directory / "saved_model"


def load_run(run_dir: str | os.PathLike[str], folders: Mapping[str, str] | None = None) -> Run:
    """Opens the directory of a running or finished run for reading.

    Args:
        run_dir: The directory.
        folders: Any of DATA_FOLDERS, to replace those in its config.json.

    Raises:
        UserError: There is no run in the directory, or a folder has no effect with it.
    """
    directory = _local(run_dir)
    config_file = directory / CONFIG_FILE
    if not config_file.is_file():
        raise UserError(f"`run_dir`: expected a folder made by train.py, with a {CONFIG_FILE}. Received: '{directory}'")
    _refuse_wrong_kinds(directory)
    config = load_config(config_file)
    return Run(directory, make_config(dict(folders), resumed=config) if folders else config)


def _local(run_dir: str | os.PathLike[str]) -> pathlib.Path:
    """The path of a run; raises UserError if it is an address or not UTF-8."""
    if is_address(os.fspath(run_dir)):
        raise UserError(f"`run_dir`: expected {LOCAL}. Received: '{os.fspath(run_dir)}'")
    directory = pathlib.Path(run_dir).expanduser()
    refuse_undecodable(directory, "run_dir")
    return directory


def has_checkpoint(run_dir: str) -> bool:
    """Whether training in this folder would resume from a checkpoint. An empty name means a new folder."""
    return bool(run_dir) and any(pathlib.Path(run_dir).expanduser().glob("checkpoints/step-*"))


def configure(run_dir: str, typed: dict[str, Any]) -> Config:
    """Completes the settings that the user typed.

    Args:
        run_dir: The folder of a run to resume, or one to be created; empty for the next free name.
        typed: Field name -> value, only for the fields that the user typed.

    Returns:
        The settings of a new run; or those of the run in ``run_dir``, with the changes that it allows.

    Raises:
        UserError: A value is bad, the folder is not that of a run, or a setting differs from that of the run.
    """
    directory = _local(run_dir)
    if not run_dir or not _holds_run(directory):
        return make_config(typed)
    saved = load_run(directory).config
    # The run has already determined what depends on the data and on the image size.
    settled = {name for name, value in typed.items() if value == "auto" or (name == "blocks" and value == 0)}
    wanted = make_config({name: value for name, value in typed.items() if name not in settled}, resumed=saved)
    _refuse_changes(saved, wanted, directory)
    return wanted


def _refuse_changes(saved: Config, wanted: Config, directory: pathlib.Path) -> None:
    # Settings that the data determines are unknown in runs of releases that did not save them.
    left_open = {f.name for f in dataclasses.fields(Config) if not f.metadata["flag"] and not getattr(saved, f.name)}
    if "class_names" not in left_open and wanted.class_names != saved.class_names:
        old, new = (
            ", ".join(sorted(set(names) - set(others))[:CLASSES_NAMED]) or "no other"
            for names, others in ((saved.class_names, wanted.class_names), (wanted.class_names, saved.class_names))
        )
        raise UserError(
            f"`data_dir`: the class names have changed since the run in '{directory}' began: it has {old}, "
            f"the data now has {new}. To resume, restore the names of the class folders; or choose another `run_dir`"
        )
    if not _name_one_model(wanted.init_from, saved.init_from):
        began = f"began with the weights of '{saved.init_from}'" if saved.init_from else "began with random weights"
        raise UserError(
            f"`init_from`: the run in '{directory}' {began} and resumes from its own checkpoints. To resume it, remove "
            f"`init_from`. To begin a run with the weights of '{wanted.init_from}', choose a new `run_dir`",
            field="init_from",
        )
    differences = [
        f"`{field.name}` is {getattr(saved, field.name)!r} there, not {getattr(wanted, field.name)!r}"
        for field in dataclasses.fields(Config)
        if not field.metadata["may_change"]
        and field.name not in left_open | {"init_from"}
        and getattr(saved, field.name) != getattr(wanted, field.name)
    ]
    if differences:
        raise UserError(
            f"`run_dir`: the run in '{directory}' has other settings: {'; '.join(differences)}. "
            "Resume it without these settings, or choose another `run_dir`"
        )


def _name_one_model(one: str, other: str) -> bool:
    """Whether both are the same name, or paths of the same folder, such as ``runs/a`` and ``runs/a/``."""
    return one == other or bool(one and other and os.path.realpath(one) == os.path.realpath(other))


@contextlib.contextmanager
def open_run(run_dir: str, config: Config) -> Iterator[Run]:
    """Creates or reopens the run directory, and locks it.

    Args:
        run_dir: The directory; empty for the next free ``runs/NNN-<dataset>``.
        config: Complete settings, without ``auto``.

    Raises:
        UserError: The directory contains something else, cannot be written, or is in use.
    """
    directory = _local(run_dir or _make_next_directory(config))
    _holds_run(directory)
    _refuse_wrong_kinds(directory)
    with contextlib.ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(directory / LOCK_FILE))
        except BlockingIOError:
            raise UserError(f"`run_dir`: '{directory}' is in use by another process. Wait, or choose another") from None
        except OSError as error:
            raise UserError(
                f"`run_dir`: cannot write to '{directory}': {error.strerror}. Choose another folder"
            ) from None
        if _holds_run(directory):
            _refuse_changes(load_run(directory).config, config, directory)
        yield Run(directory, config)


def keep_folders(run: Run) -> None:
    """Saves the current folders of a run's data for later commands.

    If the run cannot be written, or another process is using it, its settings stay as they are.
    """
    with contextlib.suppress(OSError), files.locked(run.directory / LOCK_FILE):
        saved = load_run(run.directory)
        moved = dataclasses.replace(saved.config, **{name: getattr(run.config, name) for name in DATA_FOLDERS})
        if moved != saved.config:
            dataclasses.replace(saved, config=moved).save_config()


@contextlib.contextmanager
def scratch_run(config: Config) -> Iterator[Run]:
    """A temporary run directory for a worker that is not the chief. It is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="dcgan_tf-worker-") as directory:
        yield Run(pathlib.Path(directory), config)


def _holds_run(directory: pathlib.Path) -> bool:
    """True for the folder of a run, False for a missing or empty one; raises UserError for any other."""
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise UserError(f"`run_dir`: expected a folder. Received the file '{directory}'")
    names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
    if names and CONFIG_FILE not in names:
        raise UserError(
            f"`run_dir`: '{directory}' contains files but no run (no {CONFIG_FILE}). Choose a new or an empty folder"
        )
    return bool(names)


def _refuse_wrong_kinds(directory: pathlib.Path) -> None:
    """Raises UserError if a path where the run needs a folder holds something else; likewise for its files.

    This includes a broken link, because its target may be on a disk that is currently not mounted.
    """
    for name in (*FOLDERS, *FILES):
        path, kind = directory / name, "folder" if name in FOLDERS else "file"
        if path.exists() and not (path.is_dir() if kind == "folder" else path.is_file()):
            raise UserError(f"'{path}' is not a {kind}, but the run needs a {kind} there. Move it elsewhere")
        if path.is_symlink() and not path.exists():
            raise UserError(f"'{path}' is a link to '{os.readlink(path)}', which is missing. Restore the target")


def _make_next_directory(config: Config) -> pathlib.Path:
    """Creates the next free ``runs/NNN-<dataset>``."""
    name = re.sub(r"\W+", "-", config.dataset)
    while True:
        taken = [
            int(match.group(1))
            for path in (RUNS_ROOT.iterdir() if RUNS_ROOT.is_dir() else ())
            if (match := re.match(r"(\d+)-", path.name))
        ]
        directory = RUNS_ROOT / f"{max(taken, default=-1) + 1:03d}-{name}"
        try:
            directory.mkdir(parents=True)
        except FileExistsError:  # Another process has just taken this number.
            continue
        except OSError as error:
            raise UserError(
                f"`run_dir`: cannot write to '{RUNS_ROOT.absolute()}': {error.strerror}. Choose another folder"
            ) from None
        return directory
