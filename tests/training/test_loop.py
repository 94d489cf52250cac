"""The main job from end to end, in this process."""

import dataclasses
import os
import resource
import signal
import threading
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dcgan_tf.config.making import make_config
from dcgan_tf.data import processes
from dcgan_tf.errors import UserError
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.checkpoints import Checkpoints
from dcgan_tf.runs.records import read_metrics
from dcgan_tf.serving.saved_model import exported_steps
from dcgan_tf.training import loop
from dcgan_tf.training.gan import METRICS
from tests.conftest import one_line
from tests.data.conftest import _ThisProcess
from tests.training.outcomes import assert_same_checkpoint, checkpoint_values

pytestmark = pytest.mark.usefixtures("quick_end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_prints_the_command_that_resumes(cli, small_flags, tmp_path, number):
    def interrupt():
        deadline = time.monotonic() + 60
        while not read_metrics(tmp_path / "metrics.jsonl") and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    flags = small_flags(steps=100_000, checkpoint_every=100_000, sample_every=100_000)
    stopped = cli("train", *flags, f"--run_dir={tmp_path}")
    thread.join()
    assert stopped.returncode == 0, stopped.stderr
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    step = int(checkpoint.name.split("-")[1])
    assert f"Stopped and saved at step {step:,} of 100,000" in stopped.stdout
    assert f"python train.py --run_dir={tmp_path}" in stopped.stdout

    if number == signal.SIGTERM:  # Once is enough: what follows is the same.
        return
    resumed = cli("train", f"--run_dir={tmp_path}", f"--steps={step + 4}")
    assert resumed.returncode == 0, resumed.stderr
    assert f"Resuming at step {step:,}" in resumed.stdout
    assert "Done" in resumed.stdout
    assert "batch_size=16" in resumed.stdout
    for line in (tmp_path / "final_grid.png", tmp_path / "saved_model" / "1", f"--run_dir={tmp_path}"):
        assert str(line) in resumed.stdout


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
        pytest.param(
            {"dataset": "stacked_mnist", "image_size": "28", "channels": "3", "pack": 2},
            marks=pytest.mark.long,
        ),
        {"conditional": True, "loss": "hinge"},
    ],
    ids=str,
)
def test_other_kinds_of_run_from_end_to_end(small_config, tmp_path, said, changes):
    config = small_config(**changes, steps=4)
    if config.draws_points:
        config = dataclasses.replace(config, channels="auto")
    result = loop.train(config, str(tmp_path))
    with Image.open(tmp_path / "final_grid.png") as picture:
        if config.conditional:  # A row of eight for each of the ten digits
            assert picture.size == (8 * 50 + 2, 10 * 50 + 2)
        assert picture.mode == ("L" if config.conditional else "RGB")
    samples = result.generator.sample([1], labels=[3] if config.conditional else None)
    assert samples.shape == (1, *result.generator.config.sample_shape)
    assert loop.train(config, str(tmp_path)).saved_model == result.saved_model == tmp_path / "saved_model" / "1"
    assert "This run is complete" in said.text


def test_infinite_loss_stops_with_step_tensor_and_advice(cli, small_flags, tmp_path):
    flags = small_flags(steps=200, learning_rate_discriminator=1e18, learning_rate_generator=1e18)
    message = one_line(cli("train", *flags, f"--run_dir={tmp_path / 'run'}"))
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
    assert str(error.value).startswith("loss/discriminator_fake became nan at step 1. There is no checkpoint")
    assert "`loss=non_saturating`" in str(error.value)


def test_gradient_that_is_not_finite_is_named(small_config, tmp_path):
    gan = loop.GAN(small_config())
    norms = {n.name: tf.ones(len(n.trainable_variables)) for n in (gan.generator, gan.discriminator)}
    names = [variable.path for variable in gan.generator.trainable_variables]
    norms["generator"] = tf.where(tf.constant(names) == "block_1/kernel", np.inf, norms["generator"])
    values = dict.fromkeys(METRICS, 1.0) | {"gradient_norm/generator": np.inf}
    with pytest.raises(UserError, match=r"^gradient of generator/block_1/kernel became inf at step 0"):
        loop._stop_at_nan(gan, values, norms, Checkpoints(tmp_path, gan.checkpoint()))


@pytest.mark.parametrize(
    ("best", "expected"), [(8, ", the best so far"), (4, ", the best so far is that of step 4"), (None, "")]
)
def test_evaluation_is_told_even_if_none_counts(best, expected):
    """It may be that no distance is finite, or that the records are gone."""
    assert loop._evaluated(8, float("nan"), best) == f"step 8: evaluation nan{expected}"


def test_disk_that_takes_no_more_is_one_line_and_the_run_resumes_once_it_does(small_config, tmp_path, said):
    """A real fault: no file of this process may be larger than what a checkpoint needs."""
    config = small_config(checkpoint_every=3, evaluate_every=0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def refuse(step, _):
        if step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))

    try:
        with pytest.raises(UserError) as error:
            loop.train(config, str(tmp_path / "run"), on_log=refuse)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(error.value)
    assert message.startswith(f"the checkpoint of step 6 cannot be written to '{tmp_path / 'run' / 'checkpoints'}'")
    assert message.endswith("the newest checkpoint is of step 3. Remove the cause and repeat the command to resume")
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000003"]
    assert loop.train(config, str(tmp_path / "run")).step == 12
    assert "Resuming at step 3" in said.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": "mnits"}, "unknown data set 'mnits'"),
        ({"batch_size": 300}, "`batch_size`: expected at most the 256 images"),
        ({"generator_filters": "8,8,8"}, "`generator_filters`: .* 2 blocks"),
        ({"split": "nothing"}, "`split`: mnist has no split 'nothing'"),
    ],
    ids=str,
)
def test_bad_input_leaves_no_run(small_config, tmp_path, changes, expected):
    with pytest.raises(UserError, match=expected):
        loop.train(small_config(**changes), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_dry_run_prints_and_writes_nothing(cli, tmp_path):
    folders = [f"--{name}={tmp_path / name}" for name in ("data_dir", "cache_dir", "run_dir")]
    result = cli("train", "--dry_run", "--preset=dcgan", *folders)
    assert result.returncode == 0, result.stderr
    for text in (
        "--generator_filters=128", "--image_size=28", "generator: 4,", "discriminator: 1,", "MFLOP",
        "unknown (not prepared yet) images", "4x4 -> 7x7 -> 14x14 -> 28x28", "GFLOP, batch 128", "memory: about",
    ):  # fmt: skip
        assert text in result.stdout, text
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def own_pictures(tmp_path, monkeypatch):
    """Makes a folder of forty pictures, decoded in this process: `own_pictures("photos", "JPEG", "RGB", sizes)`."""
    monkeypatch.setattr(processes, "ProcessPoolExecutor", _ThisProcess)

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
        ("logos", "PNG", "RGBA", [(32, 32)], {"background": "#ff0000"}, (32, 32, 3)),
        (
            "photos",
            "JPEG",
            "RGB",
            [(120, 80), (97, 203), (300, 40)],
            {"image_size": "16x32", "flip": True},
            (16, 32, 3),
        ),
        ("scans", "PNG", "L", [(70, 70)], {"crop": "random", "image_size": "16"}, (16, 16, 1)),
    ],
)
def test_own_pictures_train_to_an_export(own_pictures, small_config, tmp_path, name, kind, mode, sizes, flags, shape):
    pictures = own_pictures(name, kind, mode, sizes)
    typed = {"image_size": "auto", "channels": "auto", "split": "train", "generator_filters": "2", "steps": 4, **flags}
    result = loop.train(small_config(dataset="folder", data_dir=str(pictures), **typed), str(tmp_path / "run"))
    assert result.saved_model == tmp_path / "run" / "saved_model" / "1"
    assert result.generator.sample([1]).shape == (1, *shape)


def test_augmented_run_resumes_bit_for_bit(own_pictures, small_config, tmp_path):
    pictures = own_pictures("photos", "PNG", "RGB", [(40, 40)])
    config = small_config(
        dataset="folder", data_dir=str(pictures), split="train", channels="3", crop="random", flip=True, dropout=0.2
    )
    loop.train(config, str(tmp_path / "straight"))
    loop.train(dataclasses.replace(config, steps=6), str(tmp_path / "resumed"))
    loop.train(config, str(tmp_path / "resumed"))
    assert_same_checkpoint(tmp_path / "straight", tmp_path / "resumed", 12)


def test_resuming_on_other_pictures_is_refused(own_pictures, small_config, tmp_path):
    pictures = own_pictures("photos", "PNG", "RGB", [(16, 16)])
    config = small_config(dataset="folder", data_dir=str(pictures), split="train", channels="3", steps=4)
    loop.train(config, str(tmp_path / "run"))
    Image.new("RGB", (16, 16), "red").save(pictures / "00.png")
    with pytest.raises(UserError, match="the images of folder/photos have changed since this run began"):
        loop.train(run_directory.configure(str(tmp_path / "run"), {"steps": 8}), str(tmp_path / "run"))


@pytest.mark.long
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
