"""The relativistic pairing loss with R1 and R2 (arXiv 2501.05441) in a train step."""

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.pixels import to_float
from dcgan_tf.training.gan import GAN
from tests.training.test_gan import assert_same, batches, state

R3GAN = {
    "loss": "relativistic_pairing",
    "penalty": "r1_r2",
    "penalty_weight": 0.5,
    "discriminator_norm": "none",
    "beta_1": 0.0,
}


def softplus(x):
    return np.log1p(np.exp(x))


def squared_slopes(network, images):
    """The squared length of the gradient of each image's logit, one image at a time."""
    lengths = []
    for image in tf.unstack(images):
        with tf.GradientTape() as tape:
            tape.watch(image)
            logit = network(image[None], training=True)[0, 0]
        lengths.append(float(tf.reduce_sum(tf.square(tape.gradient(logit, image)))))
    return np.array(lengths)


def test_step_by_hand(small_config):
    """Losses and penalty in NumPy, from the logits of plain Keras calls on the same weights and noise."""
    config = small_config(**R3GAN)
    gan, hand = GAN(config), GAN(config)
    for network in (gan.discriminator, hand.discriminator):  # So that neither logits nor slopes are near 0
        network.set_weights([8 * weight for weight in network.get_weights()])
    images, labels = next(iter(batches(config, 1)))
    metrics, _ = gan.train_step(images, labels)

    z = tf.random.stateless_normal((config.batch_size, config.latent_dim), [0, 0], alg="philox")
    real, fake = to_float(images), hand.generator(z, training=True)
    real_logits, fake_logits = (hand.discriminator(seen)[:, 0].numpy() for seen in (real, fake))
    assert np.ptp(real_logits) > 0.1
    loss = softplus(fake_logits - real_logits).mean()
    r1, r2 = (squared_slopes(hand.discriminator, seen).mean() / 2 for seen in (real, fake))
    assert min(r1, r2) > 0.01
    np.testing.assert_allclose(metrics["loss/discriminator"], loss, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/discriminator_real"], loss / 2, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/penalty"], 0.5 * (r1 + r2), rtol=1e-4)
    # G's loss uses D as it is after its update.
    real_logits, fake_logits = (gan.discriminator(seen)[:, 0].numpy() for seen in (real, fake))
    np.testing.assert_allclose(metrics["loss/generator"], softplus(real_logits - fake_logits).mean(), rtol=1e-4)


def test_lazy_penalty_on_both_kinds_counts_for_the_steps_between(small_config):
    lazy, eager = GAN(small_config(**R3GAN, penalty_every=3)), GAN(small_config(**R3GAN))
    values = [float(lazy.train_step(*batch)[0]["loss/penalty"]) for batch in batches(lazy.config, 4)]
    assert [value > 0 for value in values] == [True, False, False, True]
    first = float(eager.train_step(*next(iter(batches(eager.config, 1))))[0]["loss/penalty"])
    assert values[0] == pytest.approx(3 * first, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pack": 2, "joint_batch": True, "dropout": 0.2},
        {"conditional": True, "class_names": ("a", "b", "c"), "spectral_norm": True},
        {"penalty": "none", "unroll_steps": 2},
    ],
    ids=["plain", "packed", "conditional", "unrolled"],
)
def test_trains_all_weights_and_resumes_exactly(small_config, changes, tmp_path):
    config = small_config(**{**R3GAN, "penalty_every": 2, **changes})
    straight, first, second = GAN(config), GAN(config), GAN(config)
    before = state(straight)
    source = list(batches(config, 3))
    metrics = [straight.train_step(*batch)[0] for batch in source]
    assert all(np.isfinite(value) for record in metrics for value in record.values())
    for name, value in state(straight).items():
        # D's loss does not change when all logits rise together, so its last bias has no gradient.
        if not name.endswith("learning_rate") and not ("logits" in name and "bias" in name):
            assert not np.array_equal(value, before[name]), f"{name} did not change"

    first.train_step(*source[0])
    first.checkpoint().write(str(tmp_path / "checkpoint"))
    second.checkpoint().read(str(tmp_path / "checkpoint")).assert_consumed()
    for batch in source[1:]:
        second.train_step(*batch)
    assert_same(state(second), state(straight))
