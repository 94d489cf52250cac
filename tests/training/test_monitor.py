"""Runs that are broken on purpose must be named, and a healthy one must stay quiet."""

import ast
import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.sections.objective import LOSS_NAMES
from dcgan_tf.config.settings import Config
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.prepare import prepare
from dcgan_tf.evaluation.quick import spread_images
from dcgan_tf.generation.sampling import monitored_samples
from dcgan_tf.objectives.losses import CHANCE_LOSSES, LOSSES, LOSSES_IN_NATS
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.monitor import ADVICE, ALIKE, REAL_IMAGES, WINDOW, Monitor, least_loss
from tests.conftest import SMALL

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 1), np.uint8)
HEALTHY = {"prob/real": 0.6, "prob/fake": 0.4, "loss/discriminator": 1.2, "gradient_norm/generator": 0.1}


def observe(monitor, records, first=1000, every=50, samples=IMAGES):
    """The names of the failures that a series of records announces, in order."""
    sentences = []
    for step, record in zip(itertools.count(first, every), records, strict=False):
        sentences += monitor.observe(step, {**HEALTHY, **record}, samples)[1]
    return [sentence.split(": ")[1] for sentence in sentences]


@pytest.mark.parametrize("name", CHANCE_LOSSES)
def test_chance_losses_by_the_losses_themselves(name):
    """At the logit where real and fake cost the same, D cannot do better by guessing."""
    loss = LOSSES[name]
    undecided = tf.constant([0.5 if name == "least_squares" else 0.0])
    value = loss.discriminator_real(undecided) + loss.discriminator_fake(undecided)
    np.testing.assert_allclose(value, CHANCE_LOSSES[name], rtol=1e-6)
    assert {*CHANCE_LOSSES, "wasserstein"} == set(LOSS_NAMES)
    assert set(LOSSES_IN_NATS) <= set(LOSS_NAMES)


def test_each_failure_by_its_record(small_config):
    won = {"prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}
    lost = {"prob/real": 0.3, "prob/fake": 0.8, "loss/discriminator": 3.0}
    for record, expected in ((won, "discriminator wins"), (lost, "generator wins")):
        assert observe(Monitor(small_config(), [IMAGES]), [record] * WINDOW) == [expected]
        assert observe(Monitor(small_config(), [IMAGES]), [record] * (WINDOW - 1)) == []
    swings = [{"loss/discriminator": value} for value in (0.1, 4, 0.2, 5, 0.1, 4)]
    assert observe(Monitor(small_config(), [IMAGES]), swings) == ["oscillation"]
    slow = [{"loss/discriminator": value} for value in (0.5, 1.5, 2.5, 3.5, 2.5, 1.5)]
    assert observe(Monitor(small_config(), [IMAGES]), slow) == []


def test_an_episode_is_announced_once_and_its_return_again(small_config):
    won = [{"prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}] * WINDOW
    monitor = Monitor(small_config(), [IMAGES])
    healthy = [{}] * WINDOW
    assert observe(monitor, [*won, *won, *healthy, *won]) == ["discriminator wins"] * 2


@pytest.mark.parametrize("name", CHANCE_LOSSES)
def test_discriminator_that_wins_is_named_for_every_loss(small_config, name):
    """Uses the loss of logits that are right for every image."""
    real, fake = {"least_squares": (1.0, 0.0)}.get(name, (9.0, -9.0))
    loss = LOSSES[name]
    value = float(loss.discriminator_real(tf.constant([real]))[0] + loss.discriminator_fake(tf.constant([fake]))[0])
    won = {"prob/real": 1 / (1 + np.exp(-real)), "prob/fake": 1 / (1 + np.exp(-fake)), "loss/discriminator": value}
    assert observe(Monitor(small_config(loss=name), [IMAGES]), [won] * WINDOW) == ["discriminator wins"]


@pytest.mark.parametrize(
    ("loss", "changes", "expected"),
    [
        ("non_saturating", {}, 0),
        # Cross-entropy of 0.9 with itself
        ("non_saturating", {"label_smoothing": 0.1}, -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))),
        ("non_saturating", {"label_flip": 0.1}, -2 * (0.9 * np.log(0.9) + 0.1 * np.log(0.1))),
        ("least_squares", {"label_noise": 0.4}, 2 * 0.2 * 0.8 / 2),
        ("hinge", {}, 0),
    ],
)
def test_least_loss_by_hand(small_config, loss, changes, expected):
    assert least_loss(small_config(loss=loss, **changes)) == pytest.approx(expected, abs=1e-12)


def test_noise_of_single_steps_is_no_oscillation_but_slower_swings_are(small_config):
    """With `log_every=1`, the loss varied this much in healthy runs and changed direction in every other step."""
    steps = np.random.default_rng(0).uniform(0.2, 2.2, 200)
    noise = [{"loss/discriminator": value} for value in steps]
    assert observe(Monitor(small_config(), [IMAGES]), noise, every=1) == []
    swings = [{"loss/discriminator": 0.1 if step // 10 % 2 else 3.0} for step in range(200)]
    assert set(observe(Monitor(small_config(), [IMAGES]), swings, every=1)) == {"oscillation"}


def test_nothing_is_said_at_the_very_start(small_config):
    won = {"prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}
    assert observe(Monitor(small_config(), [IMAGES]), [won] * WINDOW, first=-1000) == []


@pytest.fixture(scope="module")
def digits(data_folders):
    """4,096 of MNIST's training images, their labels, and a monitor of them."""
    config, data = prepare(dataclasses.replace(Config(), **SMALL | {"image_size": "28", "split": "train[:4096]"}))
    return data.images, data.labels, Monitor(config, spread_images(data, config, REAL_IMAGES))


STEPS = itertools.count(1000, 50)


def has_collapsed(monitor, samples):
    """What the monitor says after a window of the same samples, whatever it saw before."""
    scalars = [monitor.observe(next(STEPS), HEALTHY, samples)[0] for _ in range(WINDOW)]
    return scalars[-1]["diagnosis/collapse"] == 1


def planted(images, labels, kind, random):
    """Samples uint8 [N, 28, 28, 1] of a kind: some repeated images, digits of one class, real images, or noise."""
    word, number = kind.split()
    if kind == "white noise":
        return random.integers(0, 256, (128, 28, 28, 1), np.uint8)
    if kind == "gray noise":
        return np.clip(random.normal(127, 40, (128, 28, 28, 1)), 0, 255).astype(np.uint8)
    if word == "real":
        return images[random.choice(len(images), int(number), replace=False)]
    if word == "class":
        return images[random.choice(np.flatnonzero(labels == int(number)), 128, replace=False)]
    repeated = images[random.choice(len(images), int(number), replace=False)][np.arange(128) % int(number)]
    return np.clip(repeated + random.normal(0, 5, repeated.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "draws", "collapse"),
    [
        *((f"copies {number}", 1, True) for number in (1, 2, 4, 8)),
        *((f"class {number}", 1, True) for number in range(10)),
        ("real 64", 2, False),
        ("real 128", 2, False),
        ("white noise", 1, False),
        ("gray noise", 1, False),
        *(pytest.param(f"copies {number}", 10, True, marks=pytest.mark.long) for number in (1, 2, 4, 8)),
        *(pytest.param(f"class {number}", 10, True, marks=pytest.mark.long) for number in range(10)),
        *(pytest.param(f"real {number}", 20, False, marks=pytest.mark.long) for number in (64, 128)),
    ],
)
def test_collapse_is_told_from_real_images_and_from_noise(digits, kind, draws, collapse):
    images, labels, monitor = digits
    for draw in range(draws):
        samples = planted(images, labels, kind, np.random.default_rng(draw))
        assert has_collapsed(monitor, samples) == collapse, draw


def test_generator_of_noise_has_not_collapsed_but_a_constant_one_has(digits, small_config):
    gan = GAN(small_config(image_size="28"))
    for variable in gan.ema_generator.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    assert not has_collapsed(digits[2], monitored_samples(gan.ema_generator, gan.config))
    kernel = gan.ema_generator.get_layer("project").kernel
    kernel.assign(np.zeros(kernel.shape))
    assert has_collapsed(digits[2], monitored_samples(gan.ema_generator, gan.config))


@pytest.mark.parametrize(("modes", "collapse"), [(1, True), (2, True), (8, False)])
def test_collapse_of_points_onto_some_of_the_modes(small_config, modes, collapse):
    config, data = prepare(small_config(dataset="ring", architecture="mlp", split="train", image_size="auto"))
    monitor = Monitor(config, spread_images(data, config, REAL_IMAGES))
    assert has_collapsed(monitor, data.images[data.labels < modes][:128]) == collapse


@pytest.mark.parametrize(("growth", "collapse"), [(0.1, 0), (0, 1)])
def test_samples_that_still_improve_have_not_collapsed(small_config, growth, collapse):
    monitor = Monitor(small_config(), [IMAGES])
    middle = IMAGES.mean(0, keepdims=True)
    for number in range(WINDOW):
        samples = middle + (1 + growth * number) * 0.05 * (IMAGES - middle)
        scalars, _ = monitor.observe(1000 + 50 * number, HEALTHY, samples.astype(np.uint8))
    assert scalars["diagnosis/diversity"] < ALIKE
    assert scalars["diagnosis/collapse"] == collapse


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(small_config):
    won = {**HEALTHY, "prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}
    straight = Monitor(small_config(), [IMAGES])
    records = []
    for step in range(1000, 1000 + 20 * WINDOW, 20):
        scalars, _ = straight.observe(step, won, IMAGES)
        records.append({"step": step, **scalars})
    resumed = Monitor(small_config(), [IMAGES])
    # Some records come from an older release, which recorded other signs, or are damaged.
    resumed.recall([{"step": 999, "diagnosis/diversity": 1.0}, *json.loads(json.dumps(records))])
    assert resumed.observe(2000, won, IMAGES) == straight.observe(2000, won, IMAGES)
    assert resumed.observe(2000, won, IMAGES)[1] == []  # The episode was announced before.


def test_advice_names_settings_that_exist():
    for sentence in ADVICE.values():
        named = re.findall(r"`(\w+)(?:=([^`]*))?`", sentence)
        assert named
        for name, value in named:
            field = next(field for field in dataclasses.fields(Config) if field.name == name)
            if value:
                dataclasses.replace(Config(), **{name: ast.literal_eval(value) if field.type is not str else value})


def run(config, steps, every=20):
    """Trains on MNIST and returns the failures that were announced."""
    config, data = prepare(config)
    gan = GAN(config)
    monitor = Monitor(config, spread_images(data, config, REAL_IMAGES))
    batches = iter(make_batches(data, config, 0, steps))
    names = []
    for step in range(every, steps + 1, every):
        metrics, _ = gan.train_steps(batches, tf.constant(every))
        values = {name: float(value) for name, value in metrics.items()}
        _, sentences = monitor.observe(step, values, monitored_samples(gan.ema_generator, config))
        names += [sentence.split(": ")[1] for sentence in sentences]
    return names


@pytest.fixture
def mnist(small_config):
    return lambda **changes: small_config(split="train[:2048]", batch_size=32, **changes)


def test_healthy_run_stays_quiet(mnist):
    assert run(mnist(), steps=240) == []


@pytest.mark.parametrize(
    ("discriminator", "generator", "expected"),
    [
        (5e-2, 5e-4, "discriminator wins"),
        pytest.param(5e-6, 2e-3, "generator wins", marks=pytest.mark.long),
    ],
)
def test_network_that_learns_100_times_faster_than_the_other_wins(mnist, discriminator, generator, expected):
    networks = {"image_size": "28", "blocks": 2, "kernel_size": 5, "generator_filters": "16"}
    rates = {"learning_rate_discriminator": discriminator, "learning_rate_generator": generator}
    assert run(mnist(**networks, **rates), steps=160)[:1] == [expected]


@pytest.mark.long
def test_discriminator_of_three_blocks_that_learns_100_times_too_fast_swings(mnist):
    # It sees whole digits, wins at first, and then overshoots: its loss goes up and down by as much as chance.
    names = run(mnist(learning_rate_discriminator=1e-1, image_size="28", generator_filters="16"), steps=200)
    assert names[:1] == ["oscillation"]
