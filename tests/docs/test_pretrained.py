"""The generator that ships with the package: how it is made, and how it is found by its name."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf import load_generator
from dcgan_tf.config.making import make_config
from dcgan_tf.config.storage import settings_of_model
from dcgan_tf.data.prepare import prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import load_or_train_classifier
from dcgan_tf.generation import source
from dcgan_tf.runs.run_directory import load_run
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.transfer import begin_from_model
from docs import pretrained
from tests.conftest import one_line
from tests.small_runs import STEP, write_run


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    directory = write_run(tmp_path_factory.mktemp("digits"), export=False, dataset="mnist", cache_dir="here")
    figure = {"name": "frechet_distance[x]", "value": 12.345, "real_value": None}
    evaluation = {"checkpoint_step": STEP, "n_fake": 100, "real_split": "test", "figures": [figure]}
    (directory / "evaluation.json").write_text(json.dumps(evaluation))
    return load_run(directory)


@pytest.fixture
def bundled(digits_run, tmp_path, monkeypatch):
    """The folder `mnist` of a package in which this small run is bundled."""
    root = tmp_path / "pretrained"
    monkeypatch.setattr(source, "PRETRAINED", root)
    monkeypatch.chdir(tmp_path)
    return pretrained.make(digits_run, root)


def test_it_is_the_run_within_a_gray_level(digits_run, bundled):
    ours, theirs = load_generator("mnist"), load_generator(digits_run.directory)
    first, second = (generator.sample(range(50)).astype(int) for generator in (ours, theirs))
    assert np.abs(first - second).max() <= 1
    assert ours.step == STEP
    assert settings_of_model(ours.config) == settings_of_model(theirs.config)
    for weight, expected in zip(ours.discriminator.weights, theirs.discriminator.weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-6, err_msg=weight.path)
    assert sorted(path.name for path in bundled.iterdir()) == ["MODEL_CARD.md", "model.json", "weights.npz"]
    card = (bundled / "MODEL_CARD.md").read_text()
    assert "| frechet_distance[x] | 12.35 |  |" in card
    assert f"{STEP} of 12 steps" in card
    assert "CC BY-SA 3.0" in card
    assert "cache_dir" not in card + (bundled / "model.json").read_text()


def test_commands_use_it_before_any_training(cli, bundled, digits_run):
    result = cli("sample", "--num=4")
    assert result.returncode == 0, result.stderr
    assert "Using the bundled generator mnist. To use your own: --run_dir=runs" in result.stdout + result.stderr
    first = (bundled.parents[1] / "samples.png").read_bytes()
    assert cli("sample", "--num=4", "--saved_model=mnist").returncode == 0
    assert (bundled.parents[1] / "samples.png").read_bytes() == first
    assert "a bundled generator (mnist). Received: 'minst'" in one_line(cli("sample", "--saved_model=minst"))
    assert "--run_dir is required" in one_line(cli("sample", "--checkpoint=latest"))


def test_a_training_begins_with_it(bundled, digits_run):
    gan = GAN(dataclasses.replace(digits_run.config, init_from="mnist", freeze_discriminator=1))
    begin_from_model(gan)
    ours = load_generator("mnist")
    for network, expected in ((gan.generator, ours.network), (gan.discriminator, ours.discriminator)):
        for weight, other in zip(network.weights, expected.weights, strict=True):
            np.testing.assert_array_equal(weight, other, err_msg=weight.path)


def test_a_folder_of_that_name_comes_first(bundled, run_dir, tmp_path):
    (tmp_path / "mnist").symlink_to(run_dir)
    assert load_generator("mnist").digest == load_generator(run_dir).digest


def test_what_may_not_ship_is_refused_and_nothing_is_left(run_dir, digits_run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="expected a run on mnist"):
        pretrained.make(load_run(run_dir), tmp_path)
    for name, value, expected in (
        ("MAX_BYTES", 100, "at most 100 bytes"),
        ("_largest_change", lambda *_: 3, "at most 1. Received: 3"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(pretrained, name, value)
            with pytest.raises(UserError, match=expected):
                pretrained.make(digits_run, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_it_the_error_names_a_run(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PRETRAINED", tmp_path)
    for command in ("sample", "explore"):
        assert "--run_dir is required, such as --run_dir=" in one_line(cli(command))


def test_bundled_generator_makes_digits():
    """The package's own generator is within its size limit, and the bundled classifier reads all ten digits in it."""
    assert sum(path.stat().st_size for path in (source.PRETRAINED / "mnist").iterdir()) <= pretrained.MAX_BYTES
    images = load_generator("mnist").sample(range(64))
    assert images.shape == (64, 28, 28, 1)
    ink = (images > 127).mean(axis=(1, 2, 3))  # 13% of a training image, on average
    assert 0.08 < ink.mean() < 0.2
    assert len({image.tobytes() for image in images}) == 64
    config, _ = prepare(make_config({"dataset": "mnist"}))
    logits = load_or_train_classifier(config).network(images, training=False)["logits"]
    sure = tf.reduce_max(tf.nn.softmax(logits), axis=1).numpy() > 0.9
    assert sure.mean() > 0.8
    assert set(np.argmax(logits, axis=1)[sure]) == set(range(10))
