"""A pytest plugin: small runs with a checkpoint and an export, made once per session without training."""

import contextlib
import dataclasses
from unittest import mock

import numpy as np
import pytest
from absl import flags
from PIL import Image

from tests.conftest import SMALL

STEP = 7


def make_networks(**changes):
    """Networks far from their initial weights: images differ by tens of gray levels between seeds and classes."""
    import tensorflow as tf

    from dcgan_tf.config.settings import Config
    from dcgan_tf.generation.networks import Networks
    from dcgan_tf.models.configured import configured_discriminator, configured_generator

    config = dataclasses.replace(Config(), **{**SMALL, **changes})
    networks = Networks(config, configured_generator(config, seed=0), configured_discriminator(config, seed=0), STEP)
    for network in (networks.generator, networks.discriminator):
        for number, weight in enumerate(network.weights):
            kind = weight.path.split("/")[-1]
            # Signals keep their size from layer to layer, so that z is not lost and tanh does not saturate.
            scale = 1.5 / np.sqrt(np.prod(weight.shape[:-1])) if kind == "kernel" else 0.1
            start = 1.0 if kind in ("gamma", "moving_variance", "singular_vector") else 0.0
            weight.assign(start + scale * tf.random.stateless_normal(weight.shape, [number, 1]))
    return networks


def export_unverified(networks, directory, metrics=None):
    """An export without its check, which has tests of its own and takes seconds; returns the version's folder."""
    from dcgan_tf.serving import saved_model

    with mock.patch.object(saved_model, "_verify"):
        return saved_model.export_networks(networks, directory, keep_versions=1, metrics=metrics)


def write_run(directory, *, export=True, **changes):
    """Writes the folder of a run with a checkpoint and an export of the networks of `make_networks`; returns it."""
    import tensorflow as tf

    from dcgan_tf.runs.checkpoints import Checkpoints
    from dcgan_tf.runs.run_directory import Run

    directory.mkdir(exist_ok=True)
    networks = make_networks(**changes)
    run = Run(directory, networks.config)
    run.save_config()
    checkpoint = tf.train.Checkpoint(ema_generator=networks.generator, discriminator=networks.discriminator)
    Checkpoints(run.checkpoints, checkpoint).save(STEP)
    if export:
        export_unverified(networks, run.saved_model)
    return directory


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A data set of two classes: 30 bars and 30 frames that differ in place and brightness."""
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


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory, pictures):
    """A run on `pictures`. Tests leave it as it is."""
    changes = {"dataset": "folder", "data_dir": str(pictures), "split": "train", "class_names": ("bars", "frames")}
    return write_run(tmp_path_factory.mktemp("run"), **changes)


@pytest.fixture(scope="session")
def conditional_run_dir(tmp_path_factory):
    """A run of ten classes, in color. Tests leave it as it is."""
    changes = {"channels": "3", "conditional": True, "class_names": tuple("0123456789"), "latent_dim": 5}
    return write_run(tmp_path_factory.mktemp("conditional run"), **changes)


@pytest.fixture(scope="session")
def points_run_dir(tmp_path_factory):
    """A run on points. Tests leave it as it is."""
    changes = {"dataset": "ring", "architecture": "mlp", "image_size": "auto", "channels": "auto", "split": "train"}
    return write_run(tmp_path_factory.mktemp("points"), **changes)


@contextlib.contextmanager
def parsed(module, arguments):
    """The flags of one action, defined and parsed, and removed at the end."""
    before = set(flags.FLAGS)
    try:
        module.define_flags()
        flags.FLAGS(["sample", *map(str, arguments)])
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


def read(path):
    """The pixels of a picture."""
    with Image.open(path) as picture:
        return np.asarray(picture)
