"""The main job from end to end, with real faults, in processes of their own."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dcgan_tf import files
from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import quick
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.checkpoints import Checkpoints
from dcgan_tf.runs.records import read_metrics, sample_grids
from dcgan_tf.serving import saved_model
from dcgan_tf.serving.saved_model import exported_steps, read_signatures
from dcgan_tf.training import loop
from dcgan_tf.training.gan import METRICS
from tests.conftest import ROOT, one_line


@pytest.fixture(autouse=True)
def unverified_export(monkeypatch):
    """Spares the runs in this process the check of their export, which takes seconds and has tests of its own."""
    monkeypatch.setattr(saved_model, "_verify", lambda *_: None)


def checkpoint_values(run_dir, step):
    with files.plain_path(pathlib.Path(run_dir) / "checkpoints" / f"step-{step:08d}") as path:
        reader = tf.train.load_checkpoint(str(path / "checkpoint"))
        # The object graph holds names that Keras numbers by what else the process has made.
        names = reader.get_variable_to_shape_map().keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
        return {name: reader.get_tensor(name) for name in names}


def assert_same_checkpoint(first, second, step):
    first, second = checkpoint_values(first, step), checkpoint_values(second, step)
    assert first.keys() == second.keys()
    assert len(first) > 50  # Weights of three networks and two optimizers with their slots
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def scalars(run_dir):
    """metrics.jsonl without what depends on the clock."""
    records = read_metrics(pathlib.Path(run_dir) / "metrics.jsonl")
    return [{k: v for k, v in record.items() if not k.startswith("perf/")} for record in records]


def start(arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_run_leaves_everything_it_promises(command, small_flags, small_config, tmp_path, capsys):
    result = command("train.py", *small_flags(), f"--run_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        ".lock", "config.json", "metrics.jsonl", "checkpoints", "tensorboard", "samples", "training.gif", "curves.png",
        "final_grid.png", "saved_model",
    }  # fmt: skip
    assert "--batch_size=16" in result.stdout
    for line in (tmp_path / "final_grid.png", tmp_path / "saved_model" / "1", f"--run_dir={tmp_path}"):
        assert str(line) in result.stdout
    assert [record["step"] for record in scalars(tmp_path)] == [4, 8, 12]
    expected = {
        "step", "loss/generator", "loss/discriminator", "loss/discriminator_real", "loss/discriminator_fake",
        "prob/real", "prob/fake", "gradient_norm/generator", "gradient_norm/discriminator", "weight_norm/generator",
        "weight_norm/discriminator", "diagnosis/diversity", "diagnosis/repeats", "diagnosis/group_distance",
        "diagnosis/realism", "diagnosis/probability_gap", "diagnosis/discriminator_loss_share", "diagnosis/collapse",
        "diagnosis/discriminator_wins", "diagnosis/generator_wins", "diagnosis/oscillation",
    }  # fmt: skip
    assert scalars(tmp_path)[-1].keys() == expected
    assert [path.name for path in sample_grids(run_directory.load_run(tmp_path))] == [
        f"step-{step:08d}.png" for step in (0, 8, 12)
    ]
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.n_frames == 3
    assert np.array_equal(Image.open(tmp_path / "final_grid.png"), Image.open(tmp_path / "samples/step-00000012.png"))

    # As after a kill between the version and its card; the data have moved meanwhile.
    (tmp_path / "saved_model" / "MODEL_CARD.md").unlink()
    loop.train(small_config(data_dir=os.environ["TFDS_DATA_DIR"]), str(tmp_path))
    assert "This run is complete" in capsys.readouterr().out
    assert run_directory.load_run(tmp_path).config.data_dir == os.environ["TFDS_DATA_DIR"]
    assert "version 1" in (tmp_path / "saved_model" / "MODEL_CARD.md").read_text()
    assert sorted(path.name for path in (tmp_path / "saved_model").glob("[!.]*")) == ["1", "MODEL_CARD.md"]

    sampled = command("-m", "dcgan_tf", "sample", f"--run_dir={tmp_path}", f"--out={tmp_path / 'grid.png'}")
    assert sampled.returncode == 0, sampled.stderr
    assert np.array_equal(Image.open(tmp_path / "grid.png"), Image.open(tmp_path / "final_grid.png"))
    command(
        "-m",
        "dcgan_tf.cli.sample",
        f"--run_dir={tmp_path}",
        f"--out={tmp_path / 'n'}",
        "--separate",
        "--num=3",
        "--seed=61",
    )
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == [f"000000{seed}.png" for seed in (61, 62, 63)]
    last_tile = np.asarray(Image.open(tmp_path / "final_grid.png"))[-50:-2:3, -50:-2:3]
    np.testing.assert_array_equal(Image.open(tmp_path / "n" / "00000063.png"), last_tile)

    exported = command("-m", "dcgan_tf.serving.saved_model", f"--run_dir={tmp_path}")
    assert f"Exported step 12 to {tmp_path / 'saved_model' / '2'}" in exported.stdout


def test_killed_and_resumed_equals_straight_bit_for_bit(small_flags, tmp_path):
    # Checkpoints lie between records, whose means go on over them.
    flags = small_flags(steps=200, checkpoint_every=48, dropout=0.3, log_every=5, sample_every=100)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    reference = start([*flags, f"--run_dir={straight}"])
    output = reference.communicate(timeout=240)[0]
    assert reference.returncode == 0, output

    # Nor do the user's settings of Keras make a difference.
    (tmp_path / "home" / ".keras").mkdir(parents=True)
    keras_settings = {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1, "backend": "jax"}
    (tmp_path / "home" / ".keras" / "keras.json").write_text(json.dumps(keras_settings))
    home = {"HOME": str(tmp_path / "home"), "TF_USE_LEGACY_KERAS": "1", "KERAS_HOME": str(tmp_path / "home" / ".keras")}
    process = start([*flags, f"--run_dir={killed}"], **home)
    wait_for(killed / "checkpoints" / "step-00000048", process)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "saved_model").exists(), "the run ended before it was killed"

    resumed = start([*flags, f"--run_dir={killed}"])  # The same command
    output = resumed.communicate(timeout=240)[0]
    assert resumed.returncode == 0, output
    assert "Resuming at step" in output
    assert_same_checkpoint(straight, killed, 200)
    assert scalars(straight) == scalars(killed)
    grids = [[path.read_bytes() for path in sample_grids(run_directory.load_run(run))] for run in (straight, killed)]
    assert grids[0] == grids[1]
    assert len(grids[0]) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_prints_the_command_that_resumes(small_flags, tmp_path, number):
    flags = small_flags(steps=100_000, checkpoint_every=100_000, sample_every=100_000)
    process = start([*flags, f"--run_dir={tmp_path}"])
    wait_for(tmp_path / "metrics.jsonl", process)
    while not read_metrics(tmp_path / "metrics.jsonl"):
        time.sleep(0.05)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    step = int(checkpoint.name.split("-")[1])
    assert f"Stopped at step {step} of 100000, and saved" in output
    assert f"python train.py --run_dir={tmp_path}" in output

    if number == signal.SIGTERM:  # Once is enough: what follows is the same.
        return
    resumed = start([f"--run_dir={tmp_path}", f"--steps={step + 4}"])
    output = resumed.communicate(timeout=120)[0]
    assert resumed.returncode == 0, output
    assert f"Resuming at step {step}" in output


def test_first_step_comes_within_25_seconds_of_the_command(tmp_path):
    prepare(make_config({}))
    start_time = time.monotonic()
    process = start(["--steps=500", "--log_every=1", f"--run_dir={tmp_path}"])
    wait_for(tmp_path / "metrics.jsonl", process)
    while not read_metrics(tmp_path / "metrics.jsonl"):
        time.sleep(0.05)
    seconds = time.monotonic() - start_time
    process.kill()
    process.communicate()
    assert seconds < 25


@pytest.fixture
def finished(small_config, tmp_path):
    """A finished small run, below a name that TensorFlow would take for a pattern."""
    loop.train(small_config(), str(tmp_path / "[2024] r*n?"))
    return tmp_path / "[2024] r*n?"


@pytest.mark.parametrize(
    "changes",
    [
        {
            "dataset": "ring",
            "architecture": "mlp",
            "discriminator_filters": "8",
            "image_size": "auto",
            "split": "train",
        },
        {"dataset": "stacked_mnist", "image_size": "28", "channels": "3", "pack": 2},
        {"conditional": True, "loss": "hinge"},
    ],
    ids=str,
)
def test_other_kinds_of_run_from_end_to_end(small_config, tmp_path, capsys, changes):
    config = small_config(**changes)
    if config.draws_points:
        config = dataclasses.replace(config, channels="auto")
    loop.train(config, str(tmp_path))
    with Image.open(tmp_path / "final_grid.png") as picture:
        if config.conditional:  # A row of eight for each of the ten digits
            assert picture.size == (8 * 50 + 2, 10 * 50 + 2)
        assert picture.mode == ("L" if config.conditional else "RGB")
    loop.train(config, str(tmp_path))
    assert "This run is complete" in capsys.readouterr().out
    signatures = read_signatures(tmp_path / "saved_model" / "1")
    assert ("sample_png" in signatures) != config.draws_points
    assert ("discriminate" in signatures) == (config.pack == 1)
    assert ("label" in signatures["sample"]["inputs"]) == config.conditional


def test_damaged_newest_checkpoint_falls_back_and_ends_the_same(small_config, finished, capsys):
    wanted = checkpoint_values(finished, 12)
    (data_file,) = (finished / "checkpoints" / "step-00000012").glob("*.data*")
    data_file.write_bytes(data_file.read_bytes()[:1000])
    loop.train(small_config(), str(finished))
    output = capsys.readouterr().out
    assert "checkpoint of step 12 is damaged" in output
    assert "Resuming at step 6" in output
    for name, value in checkpoint_values(finished, 12).items():
        np.testing.assert_array_equal(value, wanted[name], err_msg=name)
    assert [path.name for path in sorted((finished / "saved_model").glob("[!.]*"))] == ["1", "2", "MODEL_CARD.md"]


def test_damaged_best_checkpoint_gives_way_to_the_next_best_once(small_config, finished, capsys):
    records = read_metrics(finished / "metrics.jsonl")
    distances = {4: 1.0, 8: 3.0, 12: 2.0}
    lines = [json.dumps({**record, quick.METRIC: distances[record["step"]]}) + "\n" for record in records]
    (finished / "metrics.jsonl").write_text("".join(lines))
    shutil.copytree(finished / "checkpoints" / "step-00000006", finished / "checkpoints" / "step-00000004")
    (data_file,) = (finished / "checkpoints" / "step-00000004").glob("*.data*")
    data_file.write_bytes(data_file.read_bytes()[:1000])
    loop.train(small_config(), str(finished))
    output = capsys.readouterr().out
    assert "The checkpoint of step 4 is damaged" in output
    assert "are of step 12, the best" in output
    assert exported_steps(finished / "saved_model") == [12, 12]
    loop.train(small_config(), str(finished))
    assert "This run is complete" in capsys.readouterr().out
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


def test_complete_run_without_its_record_stays_complete(small_config, finished, capsys):
    """Its export is of the step that was the best, which cannot be known any more."""
    (finished / "metrics.jsonl").unlink()
    model = finished / "saved_model" / "1" / "assets.extra" / "model.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"step": 6}))
    loop.train(small_config(), str(finished))
    assert "This run is complete" in capsys.readouterr().out
    assert exported_steps(finished / "saved_model") == [6]


def test_fewer_steps_than_done_are_refused_and_change_nothing(small_config, finished):
    before = (finished / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"--steps: the run is at step 12 already.*Received: 5"):
        loop.train(small_config(steps=5), str(finished))
    assert (finished / "config.json").read_bytes() == before


def test_extended_run_killed_before_its_export_is_exported_by_the_same_command(small_config, finished, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_curves", killed)
        with pytest.raises(KeyboardInterrupt):
            loop.train(small_config(steps=18), str(finished))
    assert exported_steps(finished / "saved_model")[-1] == 12
    loop.train(small_config(steps=18), str(finished))
    assert exported_steps(finished / "saved_model")[-1] == 18


def test_infinite_loss_stops_with_step_tensor_and_advice(command, small_flags, tmp_path):
    flags = small_flags(steps=200, learning_rate_discriminator=1e18, learning_rate_generator=1e18)
    message = one_line(command("train.py", *flags, f"--run_dir={tmp_path / 'run'}"))
    assert "became" in message
    assert "at step" in message
    assert "Try, in a new --run_dir, a smaller --learning_rate_discriminator" in message
    for checkpoint in (tmp_path / "run" / "checkpoints").glob("step-*"):
        values = checkpoint_values(tmp_path / "run", int(checkpoint.name.split("-")[1]))
        assert all(np.all(np.isfinite(value)) for value in values.values() if value.dtype == np.float32)


def test_nan_is_traced_to_the_first_tensor_of_the_step(small_config, monkeypatch, tmp_path):
    build = loop.GAN

    def build_with_a_bad_weight(config):
        gan = build(config)
        gan.generator.get_layer("to_image").bias.assign([np.nan])
        return gan

    monkeypatch.setattr(loop, "GAN", build_with_a_bad_weight)
    with pytest.raises(UserError) as error:
        loop.train(small_config(loss="minimax"), str(tmp_path / "run"))
    assert str(error.value).startswith("loss/discriminator_fake became nan at step 1. No checkpoint")
    assert "--loss=non_saturating" in str(error.value)


def test_gradient_that_is_not_finite_is_named(small_config, tmp_path):
    gan = loop.GAN(small_config())
    norms = {n.name: tf.ones(len(n.trainable_variables)) for n in (gan.generator, gan.discriminator)}
    names = [variable.path for variable in gan.generator.trainable_variables]
    norms["generator"] = tf.where(tf.constant(names) == "block_1/kernel", np.inf, norms["generator"])
    values = dict.fromkeys(METRICS, 1.0) | {"gradient_norm/generator": np.inf}
    with pytest.raises(UserError, match=r"^gradient of generator/block_1/kernel became inf at step 0"):
        loop._stop_at_nan(gan, values, norms, Checkpoints(tmp_path, gan.checkpoint()))


def test_full_disk_is_one_line_and_the_run_resumes_once_there_is_room(small_flags, tmp_path):
    """A real full disk: a file system of 3 MB in memory, mounted in a namespace of the command's own."""
    flags = small_flags(steps=200, checkpoint_every=5, keep_checkpoints=50)
    run_dir = tmp_path / "disk" / "run"
    run_dir.parent.mkdir()
    train = f"{sys.executable} train.py --run_dir={run_dir}"
    script = f"""
        mount -t tmpfs -o size=3m tmpfs {run_dir.parent} && {train} {" ".join(flags)}; echo "exit $?"
        mount -o remount,size=60m {run_dir.parent}; {train} --keep_checkpoints=1; echo "exit $?"
    """
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a mount namespace (unshare -rm)")
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=240, env=os.environ
    )
    first, second = (part for part in result.stdout.split("exit ")[1:])
    assert first.startswith("1"), result.stdout + result.stderr
    assert second.startswith("0"), result.stdout + result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "space" in errors[0] or "cannot be written" in errors[0]
    assert "Resuming at step" in result.stdout


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": "mnits"}, "unknown data set 'mnits'"),
        ({"batch_size": 300}, "--batch_size: expected at most the 256 images"),
        ({"generator_filters": "8,8,8"}, "--generator_filters: this image size has 2 blocks"),
        ({"split": "nothing"}, "--split: mnist has no split 'nothing'"),
    ],
    ids=str,
)
def test_bad_input_leaves_no_run(small_config, tmp_path, changes, expected):
    with pytest.raises(UserError, match=expected):
        loop.train(small_config(**changes), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_dry_run_prints_and_writes_nothing(command, tmp_path):
    empty = {"TFDS_DATA_DIR": str(tmp_path / "tfds"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = command("train.py", "--dry_run", "--preset=dcgan", f"--run_dir={tmp_path / 'run'}", environment=empty)
    assert result.returncode == 0, result.stderr
    for text in (
        "--generator_filters=128", "--image_size=28", "generator: 4,", "discriminator: 1,", "MFLOP an image forward",
        "unknown (not prepared yet) images", "4x4 -> 7x7 -> 14x14 -> 28x28", "GFLOP, batch 128", "memory: about",
    ):  # fmt: skip
        assert text in result.stdout, text
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "tfds").exists()
    assert not (tmp_path / "cache" / "dcgan_tf").exists()


def test_configuration_is_saved_complete(finished):
    saved = json.loads((finished / "config.json").read_text())
    assert "auto" not in saved.values()
    assert saved["channels"] == "1"


@pytest.fixture
def own_pictures(tmp_path):
    """Makes a folder of forty pictures: `own_pictures("photos", "JPEG", "RGB", sizes)`."""

    def make(name, kind, mode, sizes):
        (tmp_path / name).mkdir()
        random = np.random.default_rng(0)
        for number in range(40):
            size = sizes[number % len(sizes)]
            noise = random.integers(0, 256, (size[1], size[0], len(mode)), np.uint8)
            picture = Image.fromarray(noise if len(mode) > 1 else noise[..., 0], mode)
            picture.save(tmp_path / name / f"{number:02}.{kind.lower()}")
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("name", "kind", "mode", "sizes", "flags", "shape"),
    [
        ("logos", "PNG", "RGBA", [(64, 64)], {"background": "#ff0000"}, (64, 64, 3)),
        (
            "photos",
            "JPEG",
            "RGB",
            [(120, 80), (97, 203), (300, 40)],
            {"image_size": "48x96", "flip": True},
            (48, 96, 3),
        ),
        ("scans", "PNG", "L", [(70, 70)], {"crop": "random", "image_size": "32"}, (32, 32, 1)),
    ],
)
def test_own_pictures_train_to_an_export(own_pictures, small_config, tmp_path, name, kind, mode, sizes, flags, shape):
    folder = own_pictures(name, kind, mode, sizes)
    typed = {"image_size": "auto", "channels": "auto", "split": "train", "generator_filters": "2", "steps": 4, **flags}
    loop.train(small_config(dataset="folder", data_dir=str(folder), **typed), str(tmp_path / "run"))
    loaded = tf.saved_model.load(str(tmp_path / "run" / "saved_model" / "1"))
    assert loaded.signatures["sample_png"](seed=tf.constant([1], tf.int64))["image_bytes"].shape == [1]
    assert loaded.signatures["serving_default"].structured_outputs["images"].shape[1:] == shape


def test_augmented_run_resumes_bit_for_bit(own_pictures, small_config, tmp_path):
    folder = own_pictures("photos", "PNG", "RGB", [(40, 40)])
    config = small_config(
        dataset="folder", data_dir=str(folder), split="train", channels="3", crop="random", flip=True, dropout=0.2
    )
    loop.train(config, str(tmp_path / "straight"))
    loop.train(dataclasses.replace(config, steps=6), str(tmp_path / "resumed"))
    loop.train(config, str(tmp_path / "resumed"))
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "resumed", 12)


def test_resuming_on_other_pictures_is_refused(own_pictures, small_config, tmp_path):
    folder = own_pictures("photos", "PNG", "RGB", [(16, 16)])
    config = small_config(dataset="folder", data_dir=str(folder), split="train", channels="3", steps=4)
    loop.train(config, str(tmp_path / "run"))
    Image.new("RGB", (16, 16), "red").save(folder / "00.png")
    with pytest.raises(UserError, match="the images of folder/photos have changed since this run began"):
        loop.train(run_directory.configure(str(tmp_path / "run"), {"steps": 8}), str(tmp_path / "run"))


def test_cifar10_photographs_train_to_an_export(real_data, tmp_path):
    with zipfile.ZipFile(real_data("cifar10_jpeg.zip")) as archive:
        names = [name for name in archive.namelist() if "/train/" in name and name.endswith("77.jpg")]
        archive.extractall(tmp_path, names)
    typed = {"preset": "cifar10", "dataset": "folder", "data_dir": str(tmp_path / "cifar10_jpeg"), "steps": 2}
    small = {"generator_filters": "8", "discriminator_filters": "8"}
    loop.train(make_config({**typed, **small}), str(tmp_path / "run"))
    run = run_directory.load_run(tmp_path / "run")
    assert (run.config.image_size, run.config.channels, len(run.config.class_names)) == ("32", "3", 10)
    assert exported_steps(run.saved_model)[-1] == 2
