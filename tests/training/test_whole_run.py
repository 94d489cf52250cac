"""One finished run: what it holds, and how it continues after whatever has happened to it."""

import dataclasses
import errno
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.pictures import sample_grids
from dcgan_tf.runs.records import QUICK_METRIC, read_metrics
from dcgan_tf.serving.saved_model import exported_steps
from dcgan_tf.training import loop
from tests.conftest import SMALL
from tests.training.outcomes import assert_same_checkpoint, checkpoint_values, scalars

# A name that TensorFlow would take for a pattern.
NAME = "[2024] r*n?"


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The folder of a small run with all that belongs to it, its export verified. Tests leave it as it is."""
    return loop.train(dataclasses.replace(Config(), **SMALL), str(tmp_path_factory.mktemp("whole") / NAME)).run_dir


@pytest.fixture
def finished(whole_run, tmp_path, quick_end):
    """The folder of a finished small run, to be changed. Whatever continues it ends quickly."""
    return shutil.copytree(whole_run, tmp_path / NAME)


def test_run_leaves_everything_it_promises(whole_run):
    assert {path.name for path in whole_run.iterdir()} - {"training.mp4"} == {  # A video if a package is there
        ".lock", "config.json", "metrics.jsonl", "checkpoints", "tensorboard", "samples", "training.gif", "curves.png",
        "final_grid.png", "generator.keras", "saved_model",
    }  # fmt: skip
    assert [record["step"] for record in scalars(whole_run)] == [4, 8, 12]
    expected = {
        "step", "loss/generator", "loss/discriminator", "loss/discriminator_real", "loss/discriminator_fake",
        "prob/real", "prob/fake", "gradient_norm/generator", "gradient_norm/discriminator", "weight_norm/generator",
        "weight_norm/discriminator", "diagnosis/diversity", "diagnosis/repeats", "diagnosis/group_distance",
        "diagnosis/realism", "diagnosis/probability_gap", "diagnosis/discriminator_loss_share", "diagnosis/collapse",
        "diagnosis/discriminator_wins", "diagnosis/generator_wins", "diagnosis/oscillation",
    }  # fmt: skip
    assert scalars(whole_run)[-1].keys() == expected
    assert [path.name for path in sample_grids(run_directory.load_run(whole_run))] == [
        f"step-{step:08d}.png" for step in (0, 8, 12)
    ]
    with Image.open(whole_run / "training.gif") as gif:
        assert gif.n_frames == 3
    assert any(b"model_card" in path.read_bytes() for path in (whole_run / "tensorboard").iterdir())
    assert np.array_equal(Image.open(whole_run / "final_grid.png"), Image.open(whole_run / "samples/step-00000012.png"))
    saved = json.loads((whole_run / "config.json").read_text())
    assert "auto" not in saved.values()
    assert saved["channels"] == "1"


def test_complete_run_stays_as_it_is_but_for_its_card_and_where_its_data_are(finished, small_config, monkeypatch, said):
    # As after a kill between the version and its card; the data has moved meanwhile.
    (finished / "saved_model" / "MODEL_CARD.md").unlink()
    leftovers = [finished / "checkpoints" / ".removing-step-00000001", finished / "saved_model" / ".writing-2"]
    for leftover in leftovers:
        leftover.mkdir()
    loop.train(small_config(data_dir=os.environ["TFDS_DATA_DIR"]), str(finished))
    assert "This run is complete" in said.text
    assert run_directory.load_run(finished).config.data_dir == os.environ["TFDS_DATA_DIR"]
    assert "version 1" in (finished / "saved_model" / "MODEL_CARD.md").read_text()
    assert sorted(path.name for path in (finished / "saved_model").glob("[!.]*")) == ["1", "MODEL_CARD.md"]
    assert not any(leftover.exists() for leftover in leftovers)


def test_failed_write_of_the_keras_model_leaves_the_earlier_one(small_config, finished, monkeypatch, said):
    class Generator:
        def save(self, path):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    earlier = (finished / "generator.keras").read_bytes()
    shutil.rmtree(finished / "saved_model")
    monkeypatch.setattr(loop, "stock_generator", lambda _: Generator())
    loop.train(small_config(), str(finished))
    assert "generator.keras could not be written ([Errno 28] No space left on device)" in said.text
    assert (finished / "generator.keras").read_bytes() == earlier
    assert [path.name for path in finished.glob(".*")] == [".lock"]
    assert exported_steps(finished / "saved_model") == [12]


def test_commands_after_a_training(cli, finished, tmp_path):
    sampled = cli("sample", f"--run_dir={finished}", f"--out={tmp_path / 'grid.png'}")
    assert sampled.returncode == 0, sampled.stderr
    assert np.array_equal(Image.open(tmp_path / "grid.png"), Image.open(finished / "final_grid.png"))
    cli("sample", f"--run_dir={finished}", f"--out={tmp_path / 'n'}", "--separate", "--num=3", "--seed=61")
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == [f"000000{seed}.png" for seed in (61, 62, 63)]
    last_tile = np.asarray(Image.open(finished / "final_grid.png"))[-50:-2:3, -50:-2:3]
    np.testing.assert_array_equal(Image.open(tmp_path / "n" / "00000063.png"), last_tile)

    exported = cli("export", f"--run_dir={finished}")
    assert f"Exported step 12 to {finished / 'saved_model' / '2'}" in exported.stdout


def test_damaged_newest_checkpoint_falls_back_and_ends_the_same(small_config, finished, said):
    wanted = checkpoint_values(finished, 12)
    (data_file,) = (finished / "checkpoints" / "step-00000012").glob("*.data*")
    data_file.write_bytes(data_file.read_bytes()[:1000])
    loop.train(small_config(), str(finished))
    assert "checkpoint of step 12 is damaged" in said.text
    assert "Resuming at step 6" in said.text
    for name, value in checkpoint_values(finished, 12).items():
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)
    assert [path.name for path in sorted((finished / "saved_model").glob("[!.]*"))] == ["1", "2", "MODEL_CARD.md"]


def test_damaged_best_checkpoint_gives_way_to_the_next_best_once(small_config, finished, said):
    records = read_metrics(finished / "metrics.jsonl")
    distances = {4: 1.0, 8: 3.0, 12: 2.0}
    lines = [json.dumps({**record, QUICK_METRIC: distances[record["step"]]}) + "\n" for record in records]
    (finished / "metrics.jsonl").write_text("".join(lines))
    shutil.copytree(finished / "checkpoints" / "step-00000006", finished / "checkpoints" / "step-00000004")
    (data_file,) = (finished / "checkpoints" / "step-00000004").glob("*.data*")
    data_file.write_bytes(data_file.read_bytes()[:1000])
    loop.train(small_config(), str(finished))
    assert "The checkpoint of step 4 is damaged" in said.text
    assert exported_steps(finished / "saved_model") == [12, 12]
    loop.train(small_config(), str(finished))
    assert "This run is complete" in said.text
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == [
        "damaged-step-00000004", "step-00000006", "step-00000012",
    ]  # fmt: skip


def test_finished_run_continues_with_more_steps(small_config, finished, tmp_path):
    loop.train(small_config(steps=18), str(finished))
    loop.train(small_config(steps=18, steps_per_call=1), str(tmp_path / "straight"))
    assert_same_checkpoint(finished, tmp_path / "straight", 18)
    # The means of all steps since the last record, in whatever calls they ran.
    for record, straight in zip(scalars(finished), scalars(tmp_path / "straight"), strict=True):
        assert record == pytest.approx(straight, rel=1e-5)


def test_complete_run_without_its_record_stays_complete(small_config, finished, said):
    """Its export is of the best step, which can no longer be known."""
    (finished / "metrics.jsonl").unlink()
    model = finished / "saved_model" / "1" / "assets.extra" / "model.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"step": 6}))
    loop.train(small_config(), str(finished))
    assert "This run is complete" in said.text
    assert exported_steps(finished / "saved_model") == [6]


def test_fewer_steps_than_done_are_refused_and_change_nothing(small_config, finished):
    before = (finished / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"`steps=5`: the run is already at step 12") as error:
        loop.train(small_config(steps=5), str(finished))
    assert error.value.field == "steps"
    assert (finished / "config.json").read_bytes() == before


def test_extended_run_killed_before_its_export_is_exported_by_the_same_command(small_config, finished, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_training_gif", killed)
        with pytest.raises(KeyboardInterrupt):
            loop.train(small_config(steps=18), str(finished))
    assert exported_steps(finished / "saved_model")[-1] == 12
    loop.train(small_config(steps=18), str(finished))
    assert exported_steps(finished / "saved_model")[-1] == 18
