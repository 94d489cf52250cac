"""A new run that begins with the weights of a trained model, and a discriminator that is partly frozen."""

import contextlib
import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import dcgan_tf
from dcgan_tf.data.arrays import open_array
from dcgan_tf.errors import UserError
from dcgan_tf.generation.generator import load_generator
from dcgan_tf.generation.networks import load_networks
from dcgan_tf.runs.run_directory import configure, load_run
from dcgan_tf.serving import saved_model
from dcgan_tf.training import loop
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.transfer import begin_from_model, refuse_different_weights
from tests.conftest import one_line
from tests.small_runs import STEP, write_run
from tests.training.test_gan import assert_same, batches, state


@pytest.fixture(scope="module")
def packed_run_dir(tmp_path_factory):
    """A run whose export holds no discriminator."""
    return write_run(tmp_path_factory.mktemp("packed"), pack=2)


def begun(config):
    gan = GAN(config)
    begin_from_model(gan)
    return gan


def train(gan, source):
    for batch in source:
        gan.train_step(*batch)


def assert_same_weights(network, other):
    for weight, expected in zip(network.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight, expected, err_msg=weight.path)


@pytest.mark.parametrize("kind", ["run", "versions", "version"])
def test_all_three_networks_begin_with_the_model_and_the_optimizers_afresh(small_config, run_dir, kind, said):
    path = {"run": run_dir, "versions": run_dir / "saved_model", "version": run_dir / "saved_model" / "1"}[kind]
    gan, plain = begun(small_config(init_from=str(path))), GAN(small_config())
    model = load_generator(run_dir)
    assert_same_weights(gan.generator, model.network)
    assert_same_weights(gan.ema_generator, model.network)
    assert_same_weights(gan.discriminator, model.discriminator)
    assert gan.step.numpy() == 0
    for name in ("generator_optimizer", "discriminator_optimizer"):
        for variable, fresh in zip(getattr(gan, name).variables, getattr(plain, name).variables, strict=True):
            np.testing.assert_array_equal(variable, fresh)
    count = len(gan.generator.weights) + len(gan.discriminator.weights)
    assert (
        f"Starting at step 0 with the weights of '{path}' at step {STEP}: {count} weights fit, which is all of them"
        in said.text
    )


def test_what_does_not_fit_stays_and_is_named(small_config, run_dir, said):
    """The new run has another image size, color, classes and another length of z."""
    changes = {"image_size": "32", "channels": "3", "latent_dim": 5, "conditional": True, "class_names": ("a", "b")}
    gan, plain = begun(small_config(init_from=str(run_dir), **changes)), GAN(small_config(**changes))
    model = load_generator(run_dir)
    np.testing.assert_array_equal(gan.generator.get_layer("block_2").kernel, model.network.get_layer("block_1").kernel)
    np.testing.assert_array_equal(
        gan.discriminator.get_layer("block_2").kernel, model.discriminator.get_layer("block_2").kernel
    )
    for text in (
        "generator/to_image/kernel (4x4x3x8, in the model 4x4x1x8)",
        "generator/project/kernel (55x512, in the model 8x256)",
        "generator/block_1/kernel (4x4x16x32)",
        "generator/label_embedding/kernel (2x50)",
        "discriminator/block_1/kernel (4x4x3x8, in the model 4x4x1x8)",
    ):
        assert text in said.text
        network, layer, _ = text.split(" ")[0].split("/")
        np.testing.assert_array_equal(
            getattr(gan, network).get_layer(layer).kernel, getattr(plain, network).get_layer(layer).kernel
        )


def test_packed_export_gives_the_generator_alone(small_config, packed_run_dir, said):
    config = small_config(init_from=str(packed_run_dir / "saved_model"), pack=2)
    assert_same_weights(begun(config).discriminator, GAN(config).discriminator)
    assert "these are new: the discriminator, which the export does not contain" in said.text
    with pytest.raises(UserError, match=r"`freeze_discriminator`: the export in .* contains no discriminator"):
        begun(dataclasses.replace(config, freeze_discriminator=1))


def test_bad_beginnings_are_refused_in_one_line(small_config, run_dir, points_run_dir, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    damaged = tmp_path / "damaged"
    shutil.copytree(run_dir, damaged)
    shutil.rmtree(damaged / "checkpoints")
    for path, changes, expected in (
        (tmp_path / "none", {}, "`init_from`: expected the folder of a run"),
        (other, {}, "`init_from`: expected the folder of a run"),
        (damaged, {}, f"`init_from`: the run in '{damaged}' has no checkpoint yet"),
        (points_run_dir, {}, "has `architecture=mlp`, but this run has `architecture=dcgan`"),
        (
            run_dir,
            {"generator_filters": "5", "discriminator_filters": "5", "image_size": "64"},
            "no weights of the model",
        ),
        (run_dir, {"freeze_discriminator": 1, "channels": "3"}, "block_1/kernel of the discriminator does not fit"),
        (
            run_dir,
            {"freeze_discriminator": 1, "spectral_norm": True},
            "has `spectral_norm=False`, but this run has `spectral_norm=True`",
        ),
        (run_dir, {"freeze_discriminator": 1, "leaky_slope": 0.1}, "has `leaky_slope=0.2`"),
        (run_dir, {"freeze_discriminator": 2, "discriminator_norm": "layer"}, "has `discriminator_norm=batch`"),
    ):
        with pytest.raises(UserError) as error:
            begun(small_config(init_from=str(path), **changes))
        assert expected in str(error.value)
        assert error.value.field in ("init_from", "freeze_discriminator")
    begun(small_config(init_from=str(run_dir), freeze_discriminator=1, discriminator_norm="layer"))
    with pytest.raises(UserError, match="`freeze_discriminator`: expected at most 2"):
        GAN(small_config(init_from=str(run_dir), freeze_discriminator=3))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"unroll_steps": 1, "dropout": 0.2},
        {"spectral_norm": True, "discriminator_norm": "layer", "loss": "hinge", "penalty": "r1_r2", "penalty_every": 2},
        {"mixed_precision": True, "augment": "ada", "discriminator_steps": 2},
    ],
    ids=["plain", "unrolled", "spectral", "ada"],
)
def test_frozen_blocks_stay_all_others_learn_and_resume_is_exact(small_config, changes, tmp_path):
    config = small_config(init_from="somewhere", freeze_discriminator=1, **changes)
    straight, first, second = GAN(config), GAN(config), GAN(config)
    before = state(straight)
    source = list(batches(config, 3))
    train(straight, source)
    after = state(straight)
    for name, value in after.items():
        is_frozen = name in ("discriminator1/block_1/kernel", "discriminator1/block_1/bias")
        is_constant = name.endswith("learning_rate") or (
            config.loss == "hinge" and name == "discriminator1/logits/bias"
        )
        if not is_constant:
            assert np.array_equal(value, before[name]) == is_frozen, name
    assert not any("block_1_" in name for name in after if name.startswith("D"))  # No moments of what is frozen

    train(first, source[:1])
    first.checkpoint().write(str(tmp_path / "checkpoint"))
    second.checkpoint().read(str(tmp_path / "checkpoint")).assert_consumed()
    train(second, source[1:])
    assert_same(state(second), after)


def test_batch_norm_of_a_frozen_block_follows_the_batches(small_config):
    gan = GAN(small_config(init_from="somewhere", freeze_discriminator=2))
    norm = gan.discriminator.get_layer("block_2_norm")
    before = {weight.path: weight.numpy() for weight in norm.weights}
    train(gan, batches(gan.config, 1))
    changed = {weight.path.split("/")[-1] for weight in norm.weights if not np.array_equal(weight, before[weight.path])}
    assert changed == {"moving_mean", "moving_variance"}


def test_run_from_a_model_resumes_without_it(small_config, run_dir, monkeypatch, tmp_path, said):
    """config.json names the model; the same command resumes, and another model is refused."""
    monkeypatch.setattr(saved_model, "_verify", lambda *_: None)
    source = tmp_path / "source"
    shutil.copytree(run_dir, source)
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
    changes = {"dataset": "array", "split": "train", "steps": 2, "steps_per_call": 1, "freeze_discriminator": 1}
    config = small_config(init_from=str(source), **changes)
    folder = tmp_path / "run"
    stop = contextlib.nullcontext(lambda: True)
    assert loop.train(config, str(folder), source=open_array(images), stop_requests=stop).step == 1
    assert "Starting at step 0 with the weights of" in said.text
    assert json.loads((folder / "config.json").read_text())["init_from"] == str(source)
    frozen = load_generator(source).discriminator.get_layer("block_1").kernel.numpy()
    straight = loop.train(config, str(tmp_path / "straight"), source=open_array(images))
    said.clear()

    shutil.rmtree(source)
    result = loop.train(config, str(folder), source=open_array(images))
    values = []
    for directory in (straight.run_dir, result.run_dir):
        path = str(directory / "checkpoints" / "step-00000002" / "checkpoint")
        names = {name for name, _ in tf.train.list_variables(path)} - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
        values.append({name: tf.train.load_variable(path, name) for name in names})
    assert_same(*values)
    assert result.step == 2
    assert "Starting at step 0" not in said.text
    assert "Resuming at step 1" in said.text
    trained = load_networks(load_run(folder)).discriminator.get_layer("block_1").kernel
    np.testing.assert_array_equal(trained, frozen)
    assert "began with the weights of another model" in (folder / "saved_model" / "MODEL_CARD.md").read_text()
    # The export does not mention folders of the machine that trained it.
    assert load_generator(result.saved_model).config == dataclasses.replace(
        load_generator(result.saved_model).config, init_from="", freeze_discriminator=0
    )
    assert load_generator(result.saved_model).discriminator is not None

    for same in (source, f"{source}/", os.path.relpath(source)):
        assert configure(str(folder), {"init_from": str(same)}).init_from == str(same)
    for run, path, began in ((folder, run_dir, f"the weights of '{source}'"), (run_dir, folder, "random weights")):
        with pytest.raises(UserError) as error:
            configure(str(run), {"init_from": str(path)})
        assert str(error.value) == (
            f"`init_from`: the run in '{run}' began with {began} and resumes from its own checkpoints. To resume it, "
            f"remove `init_from`. To begin a run with the weights of '{path}', choose a new `run_dir`"
        )


def test_bad_beginning_leaves_no_run_and_needs_no_tensorflow(cli, small_config, points_run_dir, tmp_path, monkeypatch):
    images = np.zeros((40, 16, 16, 1), np.uint8)
    config = small_config(dataset="array", split="train", init_from=str(points_run_dir))
    with pytest.raises(UserError, match="architecture"):
        loop.train(config, str(tmp_path / "run"), source=open_array(images))
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("dcgan_tf.notices.import_tensorflow", lambda **_: pytest.fail("TensorFlow was imported"))
    message = one_line(cli("train", f"--init_from={tmp_path}", "--freeze_discriminator=1"))
    assert message.startswith("error: --init_from: expected the folder of a run")
    message = one_line(cli("train", f"--init_from={points_run_dir}"))
    assert "has --architecture=mlp, but this run has --architecture=dcgan" in message
    with pytest.raises(UserError, match=f"`init_from`: expected the folder of a run.*'{tmp_path}'"):
        dcgan_tf.train(images, run_dir=tmp_path / "run", init_from=tmp_path)


def test_workers_that_see_different_models_stop(small_config):
    class TwoWorkers:
        def gather(self, value):
            return [value, ["other", "weights"]]

    with pytest.raises(UserError, match="`init_from`: the workers see different models in 'there'"):
        refuse_different_weights(TwoWorkers(), GAN(small_config(init_from="there")))


def test_dry_run_says_what_fits(cli, run_dir):
    flags = ["--generator_filters=8", "--discriminator_filters=8", "--latent_dim=8", "--image_size=28"]
    result = cli("train", "--dry_run", f"--init_from={run_dir}", *flags)
    assert result.returncode == 0, result.stderr
    assert f"Starting at step 0 with the weights of '{run_dir}'" in result.stdout
    assert "generator/project/kernel (8x" in result.stdout
