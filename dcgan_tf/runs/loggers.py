"""Loggers for MLflow and Weights & Biases, to be passed to `dcgan_tf.train` as `on_log`.

>>> with MlflowLog("runs/mine", tracking_uri="sqlite:///mlflow.db") as log:  # doctest: +SKIP
...     dcgan_tf.train(images, run_dir="runs/mine", on_log=log)
"""

import dataclasses
import importlib
import os
import pathlib
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.runs.run_directory import load_run

PICTURES = ("final_grid.png", "curves.png")
LONGEST_SETTING = 500  # MLflow refuses longer texts.


class MlflowLog:
    """Logs to a run of MLflow: the settings with the first record, the metrics with every record, pictures at the end.

    Use it as a context manager, which marks MLflow's run as finished, failed, or (after Ctrl-C) killed.

    Args:
        run_dir: The folder of the training run, as in `dcgan_tf.train`.
        tracking_uri: Where MLflow stores its runs: a server or a local store. None: as MLflow is configured.
        experiment: Name of the experiment. It is created if it does not exist.
        run_id: The run of MLflow to continue, if the training run is resumed. None: a new one.

    Attributes:
        run_id: The run of MLflow.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        *,
        tracking_uri: str | None = None,
        experiment: str = "dcgan_tf",
        run_id: str | None = None,
    ) -> None:
        mlflow = _import("mlflow")
        self._directory = pathlib.Path(run_dir).expanduser()
        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(tracking_uri)
        self._has_settings = run_id is not None
        if run_id is None:
            known = self._client.get_experiment_by_name(experiment)
            experiment_id = known.experiment_id if known else self._client.create_experiment(experiment)
            run_id = self._client.create_run(experiment_id, run_name=self._directory.resolve().name).info.run_id
        self.run_id: str = run_id

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs one record."""
        parameters = []
        if not self._has_settings:
            parameters = [
                self._entities.Param(name, str(value)[:LONGEST_SETTING])
                for name, value in _settings(self._directory).items()
            ]
            self._has_settings = True
        now = int(time.time() * 1000)
        values = [self._entities.Metric(name, value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self.run_id, values, parameters)

    def __enter__(self) -> "MlflowLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for path in _pictures(self._directory) if kind is None else ():
            self._client.log_artifact(self.run_id, str(path))
        status = "FINISHED" if kind is None else "KILLED" if kind is KeyboardInterrupt else "FAILED"
        self._client.set_terminated(self.run_id, status)


class WandbLog:
    """Logs to a run of Weights & Biases: the settings with the first record, all metrics, and pictures at the end.

    Use it as a context manager, which finishes the run.

    Args:
        run_dir: The folder of the training run, as in `dcgan_tf.train`.
        options: Arguments of `wandb.init`, such as ``project``; ``mode="offline"``, which needs no network; or
            ``id=log.run.id, resume="must"``, if the training run is resumed.

    Attributes:
        run: The run of Weights & Biases.

    Raises:
        UserError: The package is not installed.
    """

    def __init__(self, run_dir: str | os.PathLike[str], **options: Any) -> None:
        self._wandb = _import("wandb")
        self._directory = pathlib.Path(run_dir).expanduser()
        self._has_settings = False
        self.run = self._wandb.init(**{"project": "dcgan_tf", "name": self._directory.resolve().name, **options})

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs one record."""
        if not self._has_settings:
            # A resumed run may have more steps than it began with.
            self.run.config.update(_settings(self._directory), allow_val_change=True)
            self._has_settings = True
        self.run.log(dict(metrics), step=step)

    def __enter__(self) -> "WandbLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pictures = _pictures(self._directory) if kind is None else []
        if pictures:
            self.run.log({path.stem: self._wandb.Image(str(path)) for path in pictures})
        self.run.finish(exit_code=0 if kind is None else 1)


def _import(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UserError(
            f"this needs the package {package}. Install it with: pip install 'dcgan_tf[{package}]'"
        ) from None


def _settings(directory: pathlib.Path) -> dict[str, Any]:
    """The settings of the run that have flags, without the folders of this machine."""
    config = load_run(directory).config
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(Config)
        if field.metadata["flag"] and not field.metadata["path"]
    }


def _pictures(directory: pathlib.Path) -> list[pathlib.Path]:
    return [directory / name for name in PICTURES if (directory / name).is_file()]
