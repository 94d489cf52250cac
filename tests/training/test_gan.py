import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.pixels import to_float, to_uint8
from dcgan_tf.objectives.unrolled import unroll
from dcgan_tf.training.gan import GAN, METRICS
from dcgan_tf.training.optimizers import apply_gradients

CONDITIONAL = {"conditional": True, "class_names": ("a", "b", "c")}
WGAN_GP = {"loss": "wasserstein", "penalty": "wgan_gp", "discriminator_norm": "layer"}
RING = {"dataset": "ring", "architecture": "mlp", "generator_filters": "16", "discriminator_filters": "16"}


def batches(config, count):
    """An iterator over `count` batches of noise pictures, always the same ones."""
    images = config.batch_size * config.discriminator_steps
    pictures = np.random.default_rng(0).integers(0, 256, (count, images, *config.sample_shape), np.uint8)
    if config.draws_points:
        pictures = pictures.astype(np.float32)
    labels = np.arange(count * images).reshape(count, images) % 3
    return iter(tf.data.Dataset.from_tensor_slices((pictures, labels)))


def state(gan):
    """All that training depends on, by name."""
    networks = (gan.generator, gan.discriminator, gan.ema_generator)
    values = {f"{n.name}{i}/{v.path}": v.numpy() for i, n in enumerate(networks) for v in n.weights}
    for name, optimizer in (("G", gan.generator_optimizer), ("D", gan.discriminator_optimizer)):
        values |= {f"{name}{i}/{v.name}": v.numpy() for i, v in enumerate(optimizer.variables)}
    return values | {"step": gan.step.numpy()}


def assert_same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name in first:
        if tolerance:
            np.testing.assert_allclose(first[name], second[name], err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def judge(gan, real, fake):
    return gan._judge(real, fake, lambda seen: gan._logits(seen, None))


def trained(config, steps=4, calls=1):
    gan = GAN(config)
    source = batches(config, steps)
    for _ in range(calls):
        gan.train_steps(source, tf.constant(steps // calls))
    return gan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "minimax"},
        {"fresh_noise": True},
        {"joint_batch": True},
        {"dropout": 0.3, "discriminator_head": "average_pool"},
        {"upsampling": "nearest"},
        {"upsampling": "bilinear", "image_size": "32", "channels": "3"},
        {"upsampling": "bicubic", "image_size": "16x32"},
        {"mixed_precision": True},
        {"architecture": "mlp", "generator_filters": "16,16", "discriminator_filters": "16"},
        *[{"loss": loss} for loss in ("least_squares", "hinge", "relativistic_average")],
        {"loss": "relativistic_average", "joint_batch": True, "label_smoothing": 0.1},
        {"loss": "wasserstein", "weight_clip": 0.01, "discriminator_steps": 3, "optimizer": "rmsprop"},
        {**WGAN_GP, "discriminator_steps": 2},
        {**WGAN_GP, "penalty": "r1", "penalty_every": 2, "discriminator_norm": "none", "dropout": 0.2},
        {**WGAN_GP, "loss": "non_saturating", "penalty": "dragan", "joint_batch": True},
        {"unroll_steps": 2},
        {"unroll_steps": 1, "joint_batch": True, "dropout": 0.3, "spectral_norm": True, "discriminator_norm": "none"},
        {"instance_noise": 0.1, "instance_noise_steps": 10, "instance_noise_decay": "exponential"},
        {"label_smoothing": 0.1, "label_noise": 0.1, "label_flip": 0.05},
        {"spectral_norm": True, "discriminator_norm": "none", "loss": "hinge", "mixed_precision": True},
        {"minibatch_stddev": True},
        {"pack": 2},
        {"pack": 4, "joint_batch": True, "diff_augment": "color", "channels": "3"},
        {"diff_augment": "translation,color,cutout", "image_size": "16x32", "channels": "3"},
        {"learning_rate_decay": "cosine", "learning_rate_decay_steps": 9},
        {"blocks": 3, "generator_extra_layer": "image", "generator_activation": "leaky_relu", "image_size": "28"},
        {"generator_extra_layer": "base", "upsampling": "nearest", "discriminator_norm": "layer"},
        RING,
        {**RING, "pack": 2, "discriminator_steps": 2},
        {**RING, "dataset": "grid", "unroll_steps": 3},
        CONDITIONAL,
        {**CONDITIONAL, "joint_batch": True, "discriminator_head": "average_pool", "fresh_noise": True},
    ],
    ids=str,
)
def test_every_variant_trains_all_weights_and_stays_finite(small_config, changes):
    gan = GAN(small_config(**changes))
    before = state(gan)
    metrics, _ = gan.train_steps(batches(gan.config, 3), tf.constant(3))
    after = state(gan)
    assert tuple(metrics) == gan.metric_names
    assert set(METRICS) <= set(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    for name, value in after.items():
        assert np.all(np.isfinite(value)), name
        # Where D's loss does not change when all logits rise together, the last bias has no gradient.
        shifts = gan.config.loss in ("hinge", "wasserstein", "relativistic_average") and "logits" in name
        if not name.endswith("learning_rate") and not (shifts and "bias" in name):
            assert not np.array_equal(value, before[name]), f"{name} did not change"
    assert after["step"] == 3


def test_same_seed_same_weights_and_another_seed_others(small_config):
    first, same, other = (state(trained(small_config(dropout=0.3, seed=seed), steps=2)) for seed in (0, 0, 1))
    assert_same(first, same)
    assert not np.array_equal(first["generator0/project/kernel"], other["generator0/project/kernel"])


def test_steps_per_call_do_not_matter(small_config):
    config = small_config(dropout=0.3)
    assert_same(state(trained(config, steps=4, calls=1)), state(trained(config, steps=4, calls=4)))


def test_step_by_hand(small_config):
    """The order and the losses of one step, written out with plain Keras calls on the same weights and noise."""
    config = small_config(ema_decay=0.0)
    gan, hand = GAN(config), GAN(config)
    images, _ = next(batches(config, 1))
    metrics, _ = gan.train_steps(batches(config, 1), tf.constant(1))

    z = tf.random.stateless_normal((config.batch_size, config.latent_dim), [0, 0], alg="philox")
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    ones = tf.ones((config.batch_size, 1))
    with tf.GradientTape() as tape:
        real = hand.discriminator(to_float(images), training=True)
        fake = hand.discriminator(hand.generator(z, training=True), training=True)
        real_loss, fake_loss = cross_entropy(ones, real), cross_entropy(0 * ones, fake)
        loss = real_loss + fake_loss
    variables = hand.discriminator.trainable_variables
    hand.discriminator_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    with tf.GradientTape() as tape:
        # Batch statistics are the same in a second pass, so only the moving ones would differ from one pass.
        generator_loss = cross_entropy(ones, hand.discriminator(hand.generator(z, training=True), training=True))
    variables = hand.generator.trainable_variables
    hand.generator_optimizer.apply_gradients(zip(tape.gradient(generator_loss, variables), variables, strict=True))

    np.testing.assert_allclose(metrics["loss/discriminator_real"], real_loss, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/discriminator_fake"], fake_loss, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/generator"], generator_loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["prob/real"], tf.reduce_mean(tf.sigmoid(real)), rtol=1e-5)
    np.testing.assert_allclose(metrics["prob/fake"], tf.reduce_mean(tf.sigmoid(fake)), rtol=1e-5)
    for one, two in ((gan.discriminator, hand.discriminator), (gan.generator, hand.generator)):
        for variable, expected in zip(one.trainable_variables, two.trainable_variables, strict=True):
            np.testing.assert_allclose(variable, expected, atol=2e-5, err_msg=variable.path)


def test_moving_average_in_closed_form(small_config):
    gan = GAN(small_config(ema_decay=0.999))
    source = batches(gan.config, 3)
    average = gan.generator.get_layer("project").kernel.numpy()
    for step in range(3):
        gan.train_steps(source, tf.constant(1))
        decay = (1 + step) / (10 + step)  # Below 0.999 this early
        average = decay * average + (1 - decay) * gan.generator.get_layer("project").kernel.numpy()
    np.testing.assert_allclose(gan.ema_generator.get_layer("project").kernel, average, rtol=1e-5, atol=1e-7)
    for ours, theirs in zip(
        gan.ema_generator.non_trainable_variables, gan.generator.non_trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_no_averaging_at_decay_zero(small_config):
    gan = trained(small_config(ema_decay=0.0))
    for ours, theirs in zip(gan.ema_generator.variables, gan.generator.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fresh_noise_and_joint_batch_change_the_step(small_config):
    plain = state(trained(small_config(), steps=1))
    for changes in ({"fresh_noise": True}, {"joint_batch": True}):
        other = state(trained(small_config(**changes), steps=1))
        assert not np.array_equal(other["generator0/project/kernel"], plain["generator0/project/kernel"]), changes
    fresh = state(trained(small_config(fresh_noise=True), steps=1))
    # The discriminator's update comes before the fresh noise and is the same.
    np.testing.assert_array_equal(fresh["discriminator1/logits/kernel"], plain["discriminator1/logits/kernel"])


def test_joint_batch_shares_batchnorm_statistics(small_config):
    """With real and fake of very different contrast, only separate batches normalise each by itself."""
    config = small_config()
    gan = GAN(config)
    bright = tf.ones((16, 16, 16, 1))
    real, fake = judge(gan, bright, -bright)
    joint_gan = GAN(small_config(joint_batch=True))
    joint_real, joint_fake = judge(joint_gan, bright, -bright)
    both = joint_gan.discriminator(tf.concat([bright, -bright], 0), training=True)[:, 0]
    np.testing.assert_allclose(tf.concat([joint_real, joint_fake], 0), both, atol=1e-6)
    assert not np.allclose(real, joint_real, atol=1e-3)
    np.testing.assert_allclose(fake, gan.discriminator(-bright, training=True)[:, 0], atol=1e-6)


def test_dropout_masks_follow_seed_and_step_alone(small_config):
    gan = GAN(small_config(dropout=0.5))
    images = tf.ones((2, 16, 16, 1))

    def logits(step):
        gan.step.assign(step)
        gan._key_dropouts()
        return gan.discriminator(images, training=True).numpy()

    first, other = logits(5), logits(6)
    np.testing.assert_array_equal(logits(5), first)
    assert not np.array_equal(other, first)


def test_training_does_not_depend_on_the_dropout_layers_own_state(small_config):
    """Keras's state is in no checkpoint: a resumed process starts with another one."""
    results = []
    for used_before in (0, 5):
        gan = GAN(small_config(dropout=0.5))
        for _ in range(used_before):
            gan.discriminator(tf.ones((2, 16, 16, 1)), training=True)
        gan.discriminator.set_weights(GAN(gan.config).discriminator.get_weights())
        gan.train_steps(batches(gan.config, 1), tf.constant(1))
        results.append(gan.discriminator.get_layer("logits").kernel.numpy())
    np.testing.assert_array_equal(*results)


def test_stops_in_the_step_that_is_not_finite(small_config):
    gan = GAN(small_config())
    source = batches(gan.config, 10)
    gan.train_steps(source, tf.constant(2))
    gan.discriminator.get_layer("logits").bias.assign([np.nan])
    metrics, norms = gan.train_steps(source, tf.constant(5))
    assert int(gan.step) == 3
    assert np.isnan(metrics["loss/discriminator_real"])
    assert np.isnan(norms["discriminator"].numpy()).any()


def test_loss_is_averaged_over_the_global_batch(small_config):
    """A replica that holds half of the global batch contributes half of the mean."""
    gan = GAN(small_config(batch_size=16))
    assert float(gan._mean(tf.ones(16))) == 1
    assert float(gan._mean(tf.ones(8))) == 0.5


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_xla_gives_the_same_step(small_config, upsampling):
    results = []
    for jit_compile in (False, True):
        gan = GAN(small_config(upsampling=upsampling, jit_compile=jit_compile))
        # XLA draws other normal numbers from the same key, so both get the same ones here.
        noise = tf.constant(np.random.default_rng(0).normal(size=(16, 8)), tf.float32)
        gan._latents = lambda purpose, count, update, noise=noise: noise
        results.append(gan.train_steps(batches(gan.config, 1), tf.constant(1)))
    (plain, plain_norms), (compiled, compiled_norms) = results
    for name in METRICS:
        np.testing.assert_allclose(compiled[name], plain[name], rtol=2e-4, err_msg=name)
    for name in plain_norms:
        np.testing.assert_allclose(compiled_norms[name], plain_norms[name], rtol=2e-3, atol=1e-5, err_msg=name)


def test_pixels_survive_the_round_trip():
    levels = np.arange(256, dtype=np.uint8)
    assert float(to_float(levels)[0]) == -1
    assert float(to_float(levels)[-1]) == 1
    np.testing.assert_array_equal(to_uint8(to_float(levels)), levels)
    np.testing.assert_array_equal(to_uint8([-9.0, 9.0]), [0, 255])


def test_unrolling_moves_the_generator_alone(small_config):
    plain, unrolled = (state(trained(small_config(unroll_steps=steps), steps=1)) for steps in (0, 3))
    for name, value in plain.items():
        # BatchNorm's statistics miss the pass of G's loss, which a virtual discriminator makes.
        if name.startswith(("discriminator1", "D")) and "moving" not in name:
            np.testing.assert_array_equal(unrolled[name], value, err_msg=name)
    assert not np.array_equal(unrolled["generator0/project/kernel"], plain["generator0/project/kernel"])


def test_each_virtual_call_moves_a_copy_of_the_discriminators_state_on(small_config):
    """Of dropout's masks and of the singular vectors, as real calls would."""
    gan = GAN(small_config(dropout=0.5, spectral_norm=True, discriminator_norm="none", unroll_steps=2))
    images = tf.ones((2, 16, 16, 1))
    weights = [variable.value for variable in gan.discriminator.trainable_variables]
    before = [variable.numpy() for variable in gan.discriminator.variables]
    virtual_logits = gan._virtual_discriminator(None)
    virtual = [virtual_logits(images, weights).numpy() for _ in range(3)]
    for variable, expected in zip(gan.discriminator.variables, before, strict=True):
        np.testing.assert_array_equal(variable, expected)
    real = [gan._logits(images, None).numpy() for _ in range(3)]
    np.testing.assert_array_equal(virtual, real)
    assert not np.array_equal(real[0], real[1])


def test_generator_gradient_through_the_virtual_updates_is_the_real_one(small_config):
    """By numerical differences of the whole unrolled loss along one direction in the generator's weights."""
    ring = {**RING, "image_size": "auto", "channels": "auto", "leaky_slope": 0.99}  # Nearly without kinks
    gan = trained(small_config(**ring, unroll_steps=3, learning_rate_discriminator=0.2), steps=3)
    points = next(batches(gan.config, 1))[0]
    kernel = gan.generator.get_layer("to_image").kernel
    start = kernel.numpy()

    def loss():
        return gan._generator_loss(points, gan._generate(0, None, 0), None)

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, kernel.value)
    direction = np.random.default_rng(0).normal(size=start.shape).astype(np.float32)
    values = []
    for move in (-2e-3, 2e-3):
        kernel.assign(start + move * direction)
        values.append(float(loss()))
    full = float(tf.reduce_sum(gradient * direction))
    assert full == pytest.approx((values[1] - values[0]) / 4e-3, rel=0.02)
    # Without the way through D's updates it would be another number.
    kernel.assign(start)
    with tf.GradientTape() as tape:
        fakes = gan._generate(0, None, 0)
        constant = tf.stop_gradient(fakes)
        virtual_logits = gan._virtual_discriminator(None)
        weights = unroll(
            [tf.convert_to_tensor(v) for v in gan.discriminator.trainable_variables],
            gan.discriminator_optimizer,
            lambda weights: gan._discriminator_loss(points, constant, 0, lambda x: virtual_logits(x, weights))[0],
            3,
        )
        value = gan._mean(gan.loss.generator(virtual_logits(fakes, weights)))
    partial = float(tf.reduce_sum(tape.gradient(value, kernel.value) * direction))
    assert abs(partial - full) > 0.05 * abs(full)


def test_several_discriminator_steps_by_hand(small_config):
    """Three updates with a batch each, the first two by themselves, then a step as usual."""
    config = small_config(discriminator_steps=3, ema_decay=0.0)
    gan = trained(config, steps=1)
    hand = GAN(config)
    images, _ = next(batches(config, 1))
    for update, part in enumerate(tf.split(to_float(images), 3)):
        fakes = hand._generate(0, None, update)
        hand._update_discriminator(part, fakes, None, update)
    for ours, theirs in zip(gan.discriminator.trainable_variables, hand.discriminator.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=ours.path)
    assert int(gan.discriminator_optimizer.iterations) == 3
    assert int(gan.generator_optimizer.iterations) == 1


def test_each_discriminator_step_has_its_own_noise(small_config):
    gan = GAN(small_config(discriminator_steps=2))
    first, second = (gan._latents(0, 4, update).numpy() for update in range(2))
    assert not np.array_equal(first, second)


def test_lazy_penalty_counts_for_the_steps_between(small_config):
    lazy = GAN(small_config(penalty="r1", discriminator_norm="none", penalty_every=3))
    eager = GAN(small_config(penalty="r1", discriminator_norm="none"))
    source = batches(lazy.config, 6)
    values = [float(lazy.train_steps(source, tf.constant(1))[0]["loss/penalty"]) for _ in range(6)]
    assert [value > 0 for value in values] == [True, False, False, True, False, False]
    first = float(eager.train_steps(batches(eager.config, 1), tf.constant(1))[0]["loss/penalty"])
    assert values[0] == pytest.approx(3 * first, rel=1e-5)


def test_clipping_bounds_every_weight(small_config):
    gan = trained(small_config(loss="wasserstein", weight_clip=0.01))
    for variable in gan.discriminator.trainable_variables:
        assert np.abs(variable).max() <= 0.01 + 1e-9


def test_packing_joins_images_in_the_channels(small_config):
    gan = GAN(small_config(pack=4))
    assert gan.discriminator.input.shape == (None, 16, 16, 4)
    images = tf.random.stateless_normal((16, 16, 16, 1), [0, 0])
    packed = gan._show(images, 0, 0)
    np.testing.assert_array_equal(packed[1], np.stack([images[row, ..., 0] for row in (1, 5, 9, 13)], axis=-1))
    assert float(gan._mean(tf.ones(4))) == 1


def test_both_learning_rates_decay(small_config):
    gan = trained(small_config(learning_rate_decay="linear", learning_rate_decay_steps=8), steps=5)
    # Step 5 ran at 4 of 8.
    np.testing.assert_allclose(gan.generator_optimizer.learning_rate, 0.5 * gan.config.learning_rate_generator)
    np.testing.assert_allclose(gan.discriminator_optimizer.learning_rate, 0.5 * gan.config.learning_rate_discriminator)


STABILIZED = [
    {
        "instance_noise": 0.1, "label_smoothing": 0.1, "label_noise": 0.1, "label_flip": 0.1, "dropout": 0.3,
        "diff_augment": "translation,color,cutout", "minibatch_stddev": True, "pack": 2, "unroll_steps": 1,
        "learning_rate_decay": "cosine", "learning_rate_decay_steps": 20,
    },
    {
        "loss": "wasserstein", "penalty": "wgan_gp", "penalty_every": 2, "discriminator_steps": 2,
        "spectral_norm": True, "discriminator_norm": "layer", "optimizer": "rmsprop", "fresh_noise": True,
        **CONDITIONAL,
    },
    {"loss": "relativistic_average", "penalty": "dragan", "discriminator_norm": "none", "joint_batch": True},
    {"loss": "wasserstein", "weight_clip": 0.01, "instance_noise": 0.1, "instance_noise_decay": "exponential"},
    {"loss": "hinge", "penalty": "r1", "discriminator_norm": "none", "spectral_norm": True},
]  # fmt: skip


@pytest.mark.parametrize("changes", STABILIZED, ids=["noise", "wgan_gp", "relativistic", "clip", "spectral"])
def test_resume_is_exact_with_every_stabilizer(small_config, changes, tmp_path):
    config = small_config(**changes)
    straight = trained(config, steps=4)
    source = batches(config, 4)
    first = GAN(config)
    first.train_steps(source, tf.constant(2))
    first.checkpoint().write(str(tmp_path / "checkpoint"))
    second = GAN(config)
    second.checkpoint().read(str(tmp_path / "checkpoint")).assert_consumed()
    second.train_steps(source, tf.constant(2))
    assert_same(state(second), state(straight))


@pytest.mark.parametrize("flag", ["instance_noise", "label_smoothing", "label_noise", "label_flip"])
def test_each_kind_of_noise_reaches_the_step(small_config, flag):
    plain = trained(small_config(), steps=1).discriminator.get_layer("logits").kernel.numpy()
    other = trained(small_config(**{flag: 0.3}), steps=1).discriminator.get_layer("logits").kernel.numpy()
    assert not np.array_equal(plain, other)


def test_fused_adam_is_kerass():
    random = np.random.default_rng(0)
    starts = [random.normal(size=shape).astype("float32") for shape in ((3, 4), (5,))]
    gradients = [[random.normal(size=start.shape).astype("float32") for start in starts] for _ in range(4)]
    results = []
    for apply in (apply_gradients, lambda optimizer, values, variables: optimizer.apply(values, variables)):
        variables = [keras.Variable(start) for start in starts]
        optimizer = keras.optimizers.Adam(0.1, 0.5, 0.9)
        optimizer.build(variables)
        for values in gradients:
            apply(optimizer, [tf.constant(value) for value in values], variables)
        results.append([variable.numpy() for variable in [*variables, *optimizer.variables]])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
