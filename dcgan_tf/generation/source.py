"""Where a trained generator is read from: a run, an export or the package itself. Needs no TensorFlow."""

import contextlib
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator

from dcgan_tf import files
from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import config_from
from dcgan_tf.errors import UserError
from dcgan_tf.paths import refuse_undecodable
from dcgan_tf.runs import run_directory

GRAPH_FILE = "saved_model.pb"
# One folder per bundled generator. `python -m docs.pretrained` writes them.
PRETRAINED = pathlib.Path(__file__).parents[1] / "pretrained"
PRETRAINED_WEIGHTS, PRETRAINED_METADATA = "weights.npz", "model.json"


@dataclasses.dataclass(frozen=True)
class Source:
    """A run, one version of an export, or a bundled generator.

    Attributes:
        directory: Folder of the source.
        config: The settings of the training.
        run: The run; None for the other two kinds.
        checkpoint: Checkpoint of a run: ``best``, ``latest``, or a step.
        step: Number of train steps. For a run it is 0 here, because it is known only after its checkpoint is read.
    """

    directory: pathlib.Path
    config: Config
    run: run_directory.Run | None
    checkpoint: str = "best"
    step: int = 0


def open_source(path: str | os.PathLike[str], checkpoint: str = "best") -> Source:
    """Opens the folder of a run, the folder of an export (its newest version), or the folder of one version.

    Args:
        path: Path of the folder, or name of a bundled generator if there is no such folder.
        checkpoint: Checkpoint of a run: ``best`` (by the evaluations during training, or the newest if there were
            none), ``latest``, or a step.

    Raises:
        UserError: The path leads to none of these.
    """
    directory = pathlib.Path(path).expanduser()
    if (directory / run_directory.CONFIG_FILE).is_file():
        return open_run(directory, checkpoint)
    if _newest_version(directory) is not None or str(path) in pretrained_names():
        return open_saved_model(path)
    raise UserError(
        f"expected the folder of a run, with a {run_directory.CONFIG_FILE}, or the folder of an export, with a "
        f"{GRAPH_FILE} or numbered versions{_or_pretrained()}. Received: '{directory}'"
    )


def open_run(path: str | os.PathLike[str], checkpoint: str = "best") -> Source:
    """Opens the folder of a run at a checkpoint; raises UserError for any other folder."""
    run = run_directory.load_run(path)
    return Source(run.directory, run.config, run, checkpoint)


def open_saved_model(path: str | os.PathLike[str]) -> Source:
    """Opens the newest version of an export, the version in the given folder, or a bundled generator.

    Raises:
        UserError: There is no export, or it was not made by this project.
    """
    directory = pathlib.Path(path).expanduser()
    refuse_undecodable(directory, "saved_model")
    version = _newest_version(directory)
    if version is None and str(path) in pretrained_names():
        return _read_metadata(PRETRAINED / path, PRETRAINED / path / PRETRAINED_METADATA)
    if version is None:
        raise UserError(
            f"`saved_model`: expected a folder with a {GRAPH_FILE}, or with numbered versions{_or_pretrained()}. "
            f"Received: '{directory}'"
        )
    return _read_metadata(version, version / "assets.extra" / "model.json")


def pretrained_names() -> list[str]:
    """The names of the bundled generators."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{PRETRAINED_WEIGHTS}"))


def _or_pretrained() -> str:
    names = ", ".join(pretrained_names())
    return f", or the name of a bundled generator ({names})" if names else ""


def _read_metadata(directory: pathlib.Path, file: pathlib.Path) -> Source:
    try:
        metadata = files.read_json(file)
        if not isinstance(metadata, dict) or type(metadata.get("step")) is not int:
            raise ValueError("it names no step")
        config, step = config_from(metadata.get("config")), metadata["step"]
    except (OSError, ValueError, UserError) as error:
        raise UserError(
            f"`saved_model`: expected an export of this project. Received: '{directory}', whose '{file}' cannot be "
            f"read: {error}. Name another version, or export the run again"
        ) from None
    return Source(directory, config, None, step=step)


def open_initial(config: Config) -> Source:
    """Opens the model in ``config.init_from``, from whose weights a new run starts.

    Raises:
        UserError: There is no such model, or its architecture differs from that of the run.
    """
    with blaming("init_from"):
        source = open_source(config.init_from)
    if source.config.architecture != config.architecture:
        raise UserError(
            f"`init_from`: the model in '{config.init_from}' has `architecture={source.config.architecture}`, but this "
            f"run has `architecture={config.architecture}`. Use the model's architecture, or name another model",
            field="init_from",
        )
    return source


@contextlib.contextmanager
def blaming(setting: str) -> Iterator[None]:
    """Makes errors about a folder mention the setting that names the folder."""
    try:
        yield
    except UserError as error:
        reason = re.sub(r"^`\w+`: ", "", str(error))
        raise UserError(f"`{setting}`: {reason}", field=setting) from None


def versions_in(directory: pathlib.Path) -> list[pathlib.Path]:
    """The folders that a server would take for versions, in ascending order: their names are 64-bit numbers."""
    numbered = [path for path in directory.glob("*") if re.fullmatch(r"[0-9]{1,18}", path.name) and path.is_dir()]
    return sorted(numbered, key=lambda path: int(path.name))


def _newest_version(directory: pathlib.Path) -> pathlib.Path | None:
    if (directory / GRAPH_FILE).is_file():
        return directory
    return next((path for path in reversed(versions_in(directory)) if (path / GRAPH_FILE).is_file()), None)
