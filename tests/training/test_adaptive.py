"""Adaptive augmentation in a train step and in a run."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.data.arrays import open_array
from dcgan_tf.objectives.adaptive import augment_adaptively
from dcgan_tf.serving import saved_model
from dcgan_tf.training import loop, noise
from dcgan_tf.training.gan import GAN
from tests.training.test_gan import assert_same, batches, state


def adaptive_state(gan):
    return state(gan) | {variable.name: variable.numpy() for variable in gan.adaptive.variables}


def train(gan, source):
    return [gan.train_step(*batch)[0] for batch in source]


def started(config, probability=0.7):
    """A GAN in the middle of training: at the start, the probability is 0 for a long time."""
    gan = GAN(config)
    gan.adaptive.value.assign(probability)
    return gan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pack": 2, "joint_batch": True, "instance_noise": 0.1, "channels": "3"},
        {"unroll_steps": 1, "loss": "hinge", "image_size": "16x32"},
        {"loss": "least_squares", "penalty": "r1", "discriminator_norm": "none", "discriminator_steps": 3},
        {"architecture": "mlp", "generator_filters": "16", "discriminator_filters": "16", "mixed_precision": True},
    ],
    ids=["plain", "packed", "unrolled", "several updates", "mlp"],
)
def test_resume_is_exact_between_two_adjustments(small_config, changes, tmp_path):
    config = small_config(augment="ada", **changes)
    straight, first, second = started(config), started(config), GAN(config)
    source = list(batches(config, 5))
    metrics = train(straight, source)
    assert all(np.isfinite(value) for record in metrics for value in record.values())
    train(first, source[:2])
    assert first.adaptive.batches.numpy() == 2 * config.discriminator_steps % 4 != 0
    first.checkpoint().write(str(tmp_path / "checkpoint"))
    second.checkpoint().read(str(tmp_path / "checkpoint")).assert_consumed()
    train(second, source[2:])
    assert_same(adaptive_state(second), adaptive_state(straight))
    assert straight.adaptive.value.numpy() != np.float32(0.7)


def test_probability_is_a_setting_of_what_d_sees(small_config):
    """At 0, D learns as without augmentation; otherwise each of its three inputs is transformed with its own key."""
    plain, unused, used = GAN(small_config()), GAN(small_config(augment="ada")), started(small_config(augment="ada"))
    for gan in (plain, unused, used):
        train(gan, batches(gan.config, 1))
    assert_same(state(plain), state(unused))
    kernels = [gan.discriminator.get_layer("logits").kernel.numpy() for gan in (plain, used)]
    assert not np.array_equal(*kernels)
    images = tf.random.stateless_normal((16, 16, 16, 1), [0, 0])
    seen = [used._show(images, purpose, 0).numpy() for purpose in range(2, 5)]
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert not np.array_equal(seen[first], seen[second])


@pytest.mark.parametrize(("loss", "expected"), [("hinge", 1), ("non_saturating", 1), ("least_squares", -1)])
def test_sign_is_of_what_d_takes_real_images_for(small_config, loss, expected):
    """A logit of 0.25 means real, except with least squares, whose targets are 0 and 1."""
    gan = GAN(small_config(augment="ada", loss=loss))
    logits = gan.discriminator.get_layer("logits")
    logits.set_weights([np.zeros_like(logits.kernel), np.array([0.25], np.float32)])
    (metrics,) = train(gan, batches(gan.config, 1))
    assert float(metrics["augment/real_sign"]) == expected
    assert gan.adaptive.signs.numpy() == expected * gan.config.batch_size


def test_packed_rows_count_once_each(small_config):
    gan = GAN(small_config(augment="ada", pack=4))
    logits = gan.discriminator.get_layer("logits")
    logits.set_weights([np.zeros_like(logits.kernel), np.array([0.25], np.float32)])
    metrics = train(gan, batches(gan.config, 4))
    assert float(metrics[0]["augment/real_sign"]) == 1
    assert float(metrics[3]["augment/probability"]) == pytest.approx(4 * gan.config.batch_size / 500_000)


@pytest.mark.long
def test_xla_follows_the_sign_too(small_config):
    gan = started(small_config(augment="ada", jit_compile=True))
    logits = gan.discriminator.get_layer("logits")
    logits.set_weights([np.zeros_like(logits.kernel), np.array([0.25], np.float32)])
    source = tf.data.Dataset.from_tensors(next(iter(batches(gan.config, 1)))).repeat()
    metrics, _ = gan.train_steps(iter(source), tf.constant(4))
    assert all(np.isfinite(value) for value in metrics.values())
    assert abs(gan.adaptive.value.numpy() - 0.7) == pytest.approx(4 * gan.config.batch_size / 500_000, rel=1e-2)
    assert gan.adaptive.batches.numpy() == 0


def test_checkpoints_hold_the_probability_where_it_is_used_alone(small_config, tmp_path):
    for augment in ("none", "ada"):
        GAN(small_config(augment=augment)).checkpoint().write(str(tmp_path / augment))
    names = {
        augment: {name for name, _ in tf.train.list_variables(str(tmp_path / augment)) if "augmentation" in name}
        for augment in ("none", "ada")
    }
    assert not names["none"]
    assert {name.split("/")[1] for name in names["ada"]} == {"value", "signs", "batches"}


@pytest.mark.long
def test_run_logs_the_probability_and_resumes_bit_for_bit(small_config, monkeypatch, tmp_path):
    """Stopped between two records and between two adjustments."""
    monkeypatch.setattr(saved_model, "_verify", lambda *_: None)
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
    config = small_config(dataset="array", split="train", augment="ada", steps=9, log_every=9, sample_every=9)
    straight = loop.train(config, str(tmp_path / "straight"), source=open_array(images))
    requests = iter([False, True])  # After the calls that end at steps 4 and 6
    stopped = loop.train(
        config,
        str(tmp_path / "resumed"),
        source=open_array(images),
        stop_requests=contextlib.nullcontext(lambda: next(requests)),
    )
    assert stopped.step == 6
    resumed = loop.train(config, str(tmp_path / "resumed"), source=open_array(images))
    values = []
    for result in (straight, resumed):
        path = str(result.run_dir / "checkpoints" / "step-00000009" / "checkpoint")
        names = {name for name, _ in tf.train.list_variables(path)} - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
        values.append({name: tf.train.load_variable(path, name) for name in names})
    assert_same(*values)
    records = [
        {name: value for name, value in result.metrics[-1].items() if not name.startswith("perf/")}
        for result in (straight, resumed)
    ]
    assert records[0] == records[1]
    assert {"augment/probability", "augment/real_sign"} <= records[0].keys()


def test_step_shows_what_the_pipeline_makes(small_config):
    """The step passes the pipeline the purpose's key, shifted, and the current probability."""
    gan = started(small_config(augment="ada"), probability=0.5)
    images = tf.random.stateless_normal((16, 16, 16, 1), [0, 0])
    key = noise.StepNoise(gan.config, gan.step).key(noise.REAL_INPUTS) + tf.constant([1 << 32, 0], tf.int64)
    np.testing.assert_array_equal(
        gan._show(images, noise.REAL_INPUTS, 0), augment_adaptively(images, tf.constant(0.5), key)
    )
