"""Runs that are broken on purpose must be named, and a healthy one must stay quiet."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.settings import LOSS_NAMES
from dcgan_tf.data.batches import fixed_images, make_batches
from dcgan_tf.data.prepare import prepare
from dcgan_tf.generation.sampling import monitored_samples
from dcgan_tf.objectives.losses import LOSSES
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.monitor import ADVICE, CHANCE_LOSSES, WINDOW, Monitor, least_loss

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8)
HEALTHY = {"prob/real": 0.6, "prob/fake": 0.4, "loss/discriminator": 1.2, "gradient_norm/generator": 0.1}


def observe(monitor, records, first=1000):
    """The names of the failures that a series of records announces, in order."""
    sentences = []
    for number, record in enumerate(records):
        sentences += monitor.observe(first + 50 * number, {**HEALTHY, **record}, IMAGES)[1]
    return [sentence.split(": ")[1] for sentence in sentences]


@pytest.mark.parametrize("name", CHANCE_LOSSES)
def test_chance_losses_by_the_losses_themselves(name):
    """At the logit where real and fake cost the same, D cannot do better by guessing."""
    loss = LOSSES[name]
    undecided = tf.constant([0.5 if name == "least_squares" else 0.0])
    value = loss.discriminator_real(undecided) + loss.discriminator_fake(undecided)
    np.testing.assert_allclose(value, CHANCE_LOSSES[name], rtol=1e-6)
    assert {*CHANCE_LOSSES, "wasserstein"} == set(LOSS_NAMES)


def test_each_failure_by_its_record(small_config):
    won = {"prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}
    lost = {"prob/real": 0.3, "prob/fake": 0.8, "loss/discriminator": 3.0}
    exchanged = {"prob/real": 0.05, "prob/fake": 0.95, "loss/discriminator": 0.1}
    for record, expected in ((won, "discriminator wins"), (lost, "generator wins"), (exchanged, "exchanged labels")):
        assert observe(Monitor(small_config(), IMAGES), [record] * WINDOW) == [expected]
        assert observe(Monitor(small_config(), IMAGES), [record] * (WINDOW - 1)) == []
    swings = [{"loss/discriminator": value} for value in (0.1, 4, 0.2, 5, 0.1, 4)]
    assert observe(Monitor(small_config(), IMAGES), swings) == ["oscillation"]
    slow = [{"loss/discriminator": value} for value in (0.5, 1.5, 2.5, 3.5, 2.5, 1.5)]
    assert observe(Monitor(small_config(), IMAGES), slow) == []


def test_an_episode_is_announced_once_and_its_return_again(small_config):
    won = [{"prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}] * WINDOW
    monitor = Monitor(small_config(), IMAGES)
    healthy = [{}] * WINDOW
    assert observe(monitor, [*won, *won, *healthy, *won]) == ["discriminator wins"] * 2


@pytest.mark.parametrize("name", CHANCE_LOSSES)
def test_discriminator_that_wins_is_named_for_every_loss(small_config, name):
    """By the loss of logits that are right for every image."""
    real, fake = {"least_squares": (1.0, 0.0)}.get(name, (9.0, -9.0))
    loss = LOSSES[name]
    value = float(loss.discriminator_real(tf.constant([real]))[0] + loss.discriminator_fake(tf.constant([fake]))[0])
    won = {"prob/real": 1 / (1 + np.exp(-real)), "prob/fake": 1 / (1 + np.exp(-fake)), "loss/discriminator": value}
    assert observe(Monitor(small_config(loss=name), IMAGES), [won] * WINDOW) == ["discriminator wins"]
    exchanged = {**won, "prob/real": won["prob/fake"], "prob/fake": won["prob/real"]}
    expected = "discriminator wins" if name == "relativistic_average" else "exchanged labels"
    assert observe(Monitor(small_config(loss=name), IMAGES), [exchanged] * WINDOW) == [expected]


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


def test_vanishing_gradient_is_named(small_config):
    gone = {"gradient_norm/generator": 1e-9}
    assert observe(Monitor(small_config(loss="minimax"), IMAGES), [gone] * WINDOW) == ["vanishing gradient"]


def test_nothing_is_said_at_the_very_start(small_config):
    won = {"prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}
    assert observe(Monitor(small_config(), IMAGES), [won] * WINDOW, first=-1000) == []


def test_diversity_by_hand(small_config):
    monitor = Monitor(small_config(), IMAGES)
    scalars, _ = monitor.observe(1000, HEALTHY, IMAGES)
    assert scalars["diagnosis/diversity"] == pytest.approx(1)
    middle = IMAGES.mean(0, keepdims=True)
    for _ in range(WINDOW):
        scalars, sentences = monitor.observe(1050, HEALTHY, middle + 0.25 * (IMAGES - middle))
    assert scalars["diagnosis/diversity"] == pytest.approx(0.25, rel=1e-3)
    assert scalars["diagnosis/collapse"] == 1
    assert "collapse" in sentences[0]
    assert "--pack=2" in sentences[0]


def test_variety_that_still_rises_is_no_collapse(small_config):
    monitor = Monitor(small_config(), IMAGES)
    middle = IMAGES.mean(0, keepdims=True)
    for number in range(WINDOW):
        scalars, _ = monitor.observe(1000, HEALTHY, middle + 0.04 * (1 + number) * (IMAGES - middle))
    assert scalars["diagnosis/collapse"] == 0


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(small_config):
    won = {**HEALTHY, "prob/real": 0.99, "prob/fake": 0.01, "loss/discriminator": 0.02}
    straight, stopped = Monitor(small_config(), IMAGES), Monitor(small_config(), IMAGES)
    records = [stopped.observe(1000 + number, won, IMAGES)[0] for number in range(WINDOW + 1)]
    resumed = Monitor(small_config(), IMAGES)
    resumed.recall(json.loads(json.dumps(records)))
    for number in range(WINDOW + 1):
        straight.observe(1000 + number, won, IMAGES)
    assert resumed.observe(2000, won, IMAGES) == straight.observe(2000, won, IMAGES)
    assert resumed.observe(2000, won, IMAGES)[1] == []  # The episode was announced before.


def test_advice_names_flags_that_exist():
    from dcgan_tf.config.settings import Config

    for sentence in ADVICE.values():
        for word in sentence.split():
            if word.startswith("--"):
                assert hasattr(Config(), word[2:].split("=")[0].rstrip(".,")), word


def run(config, sabotage=lambda gan: None, steps=400, every=20):
    """Trains on MNIST and returns the failures that were announced."""
    config, data = prepare(config)
    gan = GAN(config)
    sabotage(gan)
    monitor = Monitor(config, fixed_images(data, config, 64))
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
    assert run(mnist()) == []


def test_discriminator_that_learns_100_times_too_fast_is_named(mnist):
    networks = {"image_size": "28", "blocks": 2, "kernel_size": 5, "generator_filters": "16"}
    rates = {"learning_rate_discriminator": 5e-2, "learning_rate_generator": 5e-4}
    assert run(mnist(**networks, **rates), steps=200)[:1] == ["discriminator wins"]


def test_discriminator_of_three_blocks_that_learns_100_times_too_fast_swings(mnist):
    # It sees whole digits, wins at first, and then overshoots: its loss goes up and down by as much as chance.
    names = run(mnist(learning_rate_discriminator=1e-1, image_size="28", generator_filters="16"), steps=200)
    assert names[:1] == ["oscillation"]


def test_constant_generator_is_named(mnist):
    def make_constant(gan):
        for network in (gan.generator, gan.ema_generator):
            network.get_layer("project").kernel.assign(tf.zeros_like(network.get_layer("project").kernel))
        gan.generator_optimizer.learning_rate = 0.0

    names = run(mnist(), make_constant)
    assert names[0] == "collapse"


def test_exchanged_labels_are_named(mnist):
    def exchange(gan):
        loss = gan.loss
        gan.loss = loss._replace(discriminator_real=loss.discriminator_fake, discriminator_fake=loss.discriminator_real)

    assert "exchanged labels" in run(mnist(), exchange)
