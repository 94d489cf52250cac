"""Small networks with contrast, as a run with a checkpoint and as an export, without a training."""

import contextlib
import dataclasses
import importlib
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.runs.checkpoints import Checkpoints
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.serving import saved_model
from dcgan_tf.training.gan import GAN
from tests.conftest import SMALL


def make_gan(**changes):
    """Networks far from their start, where all images would be one gray."""
    gan = GAN(dataclasses.replace(Config(), **{**SMALL, **changes}))
    for network in (gan.ema_generator, gan.discriminator):
        for number, variable in enumerate(network.trainable_variables):
            if not variable.path.endswith("gamma"):
                variable.assign(tf.random.stateless_normal(variable.shape, [number, 1]) * 0.3)
    return gan


def write_run(directory, **changes):
    """A run's folder with a checkpoint of such networks, and their export."""
    gan = make_gan(**changes)
    run = Run(directory, gan.config)
    run.save_config()
    Checkpoints(run.checkpoints, gan.checkpoint()).save(7)
    with mock.patch.object(saved_model, "_verify"):  # Has tests of its own, and takes seconds.
        saved_model.export_gan(gan, 7, run.saved_model, keep_versions=1)
    return directory


@pytest.fixture(scope="package")
def pictures(tmp_path_factory):
    """A data set of two classes: 30 bars and 30 frames, each of another place and brightness."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(60):
        image = np.zeros((16, 16), np.uint8)
        top, left = random.integers(1, 6, 2)
        image[top : top + 9, left : left + 8] = random.integers(100, 256)
        if number % 2:
            image[top + 2 : top + 7, left + 2 : left + 6] = random.integers(0, 50)
        path = folder / ("frames" if number % 2 else "bars") / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


@pytest.fixture(scope="package")
def run_dir(tmp_path_factory, pictures):
    changes = {"dataset": "folder", "data_dir": str(pictures), "split": "train", "class_names": ("bars", "frames")}
    return write_run(tmp_path_factory.mktemp("run"), **changes)


@pytest.fixture(scope="package")
def conditional_run_dir(tmp_path_factory):
    return write_run(
        tmp_path_factory.mktemp("conditional"), conditional=True, class_names=tuple("0123456789"), latent_dim=5
    )


@pytest.fixture(scope="package")
def points_run_dir(tmp_path_factory):
    changes = {"dataset": "ring", "architecture": "mlp", "image_size": "auto", "channels": "auto"}
    return write_run(tmp_path_factory.mktemp("points"), **changes, split="train")


@contextlib.contextmanager
def parsed(module, arguments):
    """The flags of one action, defined and parsed, and gone afterwards."""
    before = set(flags.FLAGS)
    try:
        module.define_flags()
        flags.FLAGS(["sample", *map(str, arguments)])
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


@pytest.fixture
def act(tmp_path, monkeypatch):
    """Runs an action as the command does: `act("images", "--num=3")`, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(action, *arguments):
        module = importlib.import_module(f"dcgan_tf.cli.actions.{action}")
        with parsed(module, arguments):
            module.run()

    return run
