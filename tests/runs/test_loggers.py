"""Records of a training run in MLflow and Weights & Biases, each read back from a local store."""

import importlib
import importlib.util
import json
import pathlib

import numpy as np
import pytest

from dcgan_tf.config.settings import Config
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.errors import UserError
from dcgan_tf.runs.loggers import MlflowLog, WandbLog
from dcgan_tf.runs.run_directory import Run

RECORDS = {4: {"loss/generator": 0.5, "metric/mnist": 12.0}, 8: {"loss/generator": 0.25, "metric/mnist": 6.0}}


def require(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs the package {package}, of the extra {package}")


@pytest.fixture
def finished(tmp_path):
    """The folder of a run with its settings and its final grid."""
    directory = tmp_path / "my run"
    directory.mkdir()
    Run(directory, Config(steps=8, image_size="28", data_dir="/private")).save_config()
    save_png(np.zeros((8, 8, 1), np.uint8), directory / "final_grid.png")
    return directory


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A local store of MLflow: the newer default, or the only one that the small package has."""
    require("mlflow")
    if importlib.util.find_spec("sqlalchemy"):
        return f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "mlruns").as_uri()


def test_mlflow_has_settings_metrics_and_pictures(finished, store):
    import mlflow

    with MlflowLog(finished, tracking_uri=store, experiment="mine") as log:
        log(4, RECORDS[4])
    with MlflowLog(finished, tracking_uri=store, run_id=log.run_id) as again:  # A resumed training
        again(8, RECORDS[8])
    client = mlflow.MlflowClient(store)
    run = client.get_run(log.run_id)
    assert (run.info.run_name, run.info.status) == ("my run", "FINISHED")
    assert client.get_experiment(run.info.experiment_id).name == "mine"
    assert (run.data.params["steps"], run.data.params["image_size"]) == ("8", "28")
    assert "data_dir" not in run.data.params
    for name in RECORDS[4]:
        history = [(each.step, each.value) for each in client.get_metric_history(log.run_id, name)]
        assert history == [(step, record[name]) for step, record in RECORDS.items()]
    assert [each.path for each in client.list_artifacts(log.run_id)] == ["final_grid.png"]


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_mlflow_knows_how_a_training_ended(finished, store, error, status):
    import mlflow

    with pytest.raises(error), MlflowLog(finished, tracking_uri=store) as log:  # noqa: PT012
        log(4, RECORDS[4])
        raise error
    run = mlflow.MlflowClient(store).get_run(log.run_id)
    assert (run.info.status, run.data.metrics["loss/generator"]) == (status, 0.5)


def wandb_records(path):
    """The messages in the file of an offline run, in LevelDB's log format: blocks of 32 KiB with parts of records."""
    messages = importlib.import_module("wandb.proto.wandb_internal_pb2")
    content, position, record = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        length, part = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        body = content[position + 7 : position + 7 + length]
        position += 7 + length
        record = body if part in (1, 2) else record + body  # 1: whole, 2: first, 3: middle, 4: last
        if part in (1, 4):
            yield messages.Record.FromString(record)


def test_wandb_has_settings_metrics_and_pictures(finished, tmp_path, monkeypatch):
    require("wandb")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with WandbLog(finished, mode="offline", dir=str(tmp_path), project="mine") as log:
        for step, record in RECORDS.items():
            log(step, record)
    importlib.import_module("wandb").teardown()  # Waits for the process that writes the file.
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    history, settings, runs = {}, {}, []
    for record in wandb_records(path):
        values = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        if "loss/generator" in values:
            history[record.history.step.num] = {name: values[name] for name in RECORDS[4]}
        settings |= {item.key: json.loads(item.value_json) for item in record.config.update}
        runs += [(record.run.project, record.run.display_name)] if record.HasField("run") else []
    assert history == RECORDS
    assert (settings["steps"], settings["image_size"], "data_dir" in settings) == (8, "28", False)
    assert runs[0] == ("mine", "my run")
    assert list(path.parent.rglob("final_grid*.png"))


@pytest.mark.parametrize(("log", "package"), [(MlflowLog, "mlflow"), (WandbLog, "wandb")])
def test_missing_package_names_the_extra(log, package, monkeypatch, tmp_path):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(
        UserError, match=rf"needs the package {package}. Install it with: pip install 'dcgan_tf\[{package}\]'"
    ):
        log(pathlib.Path(tmp_path))
