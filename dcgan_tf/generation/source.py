"""Where a trained generator is read from: a run, or an exported SavedModel alone. Without TensorFlow."""

import dataclasses
import json
import os
import pathlib

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.runs import run_directory

GRAPH_FILE = "saved_model.pb"


@dataclasses.dataclass(frozen=True)
class Source:
    """A run, or one version of an export.

    Attributes:
        directory: the run's folder, or the version's.
        config: the settings that it was trained with.
        run: None for an export.
        checkpoint: of a run: ``best``, ``latest``, or a step.
        step: of an export; a run's is known once its checkpoint is read.
    """

    directory: pathlib.Path
    config: Config
    run: run_directory.Run | None
    checkpoint: str = "best"
    step: int = 0


def open_source(path: str | os.PathLike[str], checkpoint: str = "best") -> Source:
    """Opens a run's folder; or an export: the folder of its versions (the newest is taken), or of one version.

    Args:
        path: of the folder.
        checkpoint: of a run: ``best``, by the evaluations during training, else the newest; ``latest``; or a step.

    Raises:
        UserError: there is neither.
    """
    directory = pathlib.Path(path).expanduser()
    if (directory / run_directory.CONFIG_FILE).is_file():
        return open_run(directory, checkpoint)
    if _newest_version(directory) is not None:
        return open_saved_model(directory)
    raise UserError(
        f"expected the folder of a run, with a {run_directory.CONFIG_FILE}, or of a SavedModel, with a {GRAPH_FILE} or versions "
        f"of one. Received: '{directory}'"
    )


def open_run(path: str | os.PathLike[str], checkpoint: str = "best") -> Source:
    """Opens a run's folder at a checkpoint; raises UserError for any other."""
    run = run_directory.load_run(path)
    return Source(run.directory, run.config, run, checkpoint)


def open_saved_model(path: str | os.PathLike[str]) -> Source:
    """Opens the newest version of an export, or the version whose folder is named.

    Raises:
        UserError: there is none, or it was not made by this project.
    """
    directory = pathlib.Path(path).expanduser()
    version = _newest_version(directory)
    if version is None:
        raise UserError(
            f"--saved_model: expected a folder with a {GRAPH_FILE}, or with numbered versions. Received: '{directory}'"
        )
    try:
        metadata = json.loads((version / "assets.extra" / "model.json").read_text())
        values, step = metadata["config"], int(metadata["step"])
        config = Config(**{**values, "class_names": tuple(values["class_names"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"--saved_model: expected an export of this project, with assets.extra/model.json. "
            f"Received '{version}': {error}"
        ) from None
    return Source(version, config, None, step=step)


def _newest_version(directory: pathlib.Path) -> pathlib.Path | None:
    if (directory / GRAPH_FILE).is_file():
        return directory
    versions = [path for path in directory.glob("*") if path.name.isdigit() and (path / GRAPH_FILE).is_file()]
    return max(versions, key=lambda path: int(path.name), default=None)
