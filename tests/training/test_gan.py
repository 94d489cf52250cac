import tempfile
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.pixels import to_float, to_uint8
from dcgan_tf.objectives import chance
from dcgan_tf.training.gan import GAN, METRICS
from dcgan_tf.training.noise import PURPOSES
from dcgan_tf.training.optimizers import apply_gradients, build_optimizer
from dcgan_tf.training.virtual import logits_apart, virtual_logits

CONDITIONAL = {"conditional": True, "class_names": ("a", "b", "c")}
WGAN_GP = {"loss": "wasserstein", "penalty": "wgan_gp", "discriminator_norm": "layer"}
# Settings whose step has branches, variables and state that only a graph tests in full.
UNROLLED = {"unroll_steps": 1, "joint_batch": True, "dropout": 0.3, "spectral_norm": True, "discriminator_norm": "none"}
DECAYING = {"learning_rate_decay": "cosine", "learning_rate_decay_steps": 9}
LAZY_PENALTY = {**WGAN_GP, "penalty": "r1", "penalty_every": 2, "discriminator_norm": "none", "dropout": 0.2}
RING = {"dataset": "ring", "architecture": "mlp", "generator_filters": "16", "discriminator_filters": "16"}


def batches(config, count):
    """`count` batches of noise pictures, always the same ones."""
    images = config.batch_size * config.discriminator_steps
    pictures = np.random.default_rng(0).integers(0, 256, (count, images, *config.sample_shape), np.uint8)
    if config.draws_points:
        pictures = pictures.astype(np.float32)
    labels = np.arange(count * images).reshape(count, images) % 3
    return tf.data.Dataset.from_tensor_slices((pictures, labels))


def trained(config, steps):
    """A GAN after some steps without a graph: building a graph takes longer than a few steps."""
    gan = GAN(config)
    train(gan, batches(config, steps))
    return gan


def train(gan, source):
    """Trains on each batch, without a graph; returns the scalars of each step."""
    return [gan.train_step(images, labels)[0] for images, labels in source]


def state(gan):
    """All that training depends on, by name."""
    networks = (gan.generator, gan.discriminator, gan.ema_generator)
    values = {f"{n.name}{i}/{v.path}": v.numpy() for i, n in enumerate(networks) for v in n.weights}
    for name, optimizer in (("G", gan.generator_optimizer), ("D", gan.discriminator_optimizer)):
        values |= {f"{name}{i}/{v.name}": v.numpy() for i, v in enumerate(optimizer.variables)}
    return values | {"step": gan.step.numpy()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def generator_kernel(gan):
    return gan.generator.get_layer("project").kernel.numpy()


def logits_kernel(gan):
    return gan.discriminator.get_layer("logits").kernel.numpy()


VARIANTS = [
    {},
    {"loss": "minimax"},
    {"fresh_noise": True},
    {"joint_batch": True},
    {"dropout": 0.3, "discriminator_head": "average_pool"},
    {"upsampling": "nearest", "kernel_size": 3, "channels": "3", "mixed_precision": True},
    {"upsampling": "bilinear", "image_size": "32", "channels": "3"},
    {"upsampling": "bicubic", "image_size": "16x32"},
    {"mixed_precision": True},
    {"architecture": "mlp", "generator_filters": "16,16", "discriminator_filters": "16"},
    *[{"loss": loss} for loss in ("least_squares", "hinge", "relativistic_average")],
    {"loss": "relativistic_average", "joint_batch": True, "label_smoothing": 0.1},
    {"loss": "wasserstein", "weight_clip": 0.01, "discriminator_steps": 3, "optimizer": "rmsprop"},
    {**WGAN_GP, "discriminator_steps": 2},
    LAZY_PENALTY,
    {**WGAN_GP, "loss": "non_saturating", "penalty": "dragan", "joint_batch": True},
    {"unroll_steps": 2},
    UNROLLED,
    {"instance_noise": 0.1, "instance_noise_steps": 10, "instance_noise_decay": "exponential"},
    {"label_smoothing": 0.1, "label_noise": 0.1, "label_flip": 0.05},
    {"spectral_norm": True, "discriminator_norm": "none", "loss": "hinge", "mixed_precision": True},
    {"minibatch_stddev": True},
    {"pack": 2},
    {"pack": 4, "joint_batch": True, "diff_augment": "color", "channels": "3"},
    {"diff_augment": "translation,color,cutout", "image_size": "16x32", "channels": "3"},
    DECAYING,
    {"blocks": 3, "generator_extra_layer": "image", "generator_activation": "leaky_relu", "image_size": "28"},
    {"generator_extra_layer": "base", "upsampling": "nearest", "discriminator_norm": "layer"},
    RING,
    {**RING, "pack": 2, "discriminator_steps": 2},
    {**RING, "dataset": "grid", "unroll_steps": 3},
    CONDITIONAL,
    {**CONDITIONAL, "joint_batch": True, "discriminator_head": "average_pool", "fresh_noise": True},
]


def in_both_ways(variants, names, in_graph):
    """Each variant eagerly and in a graph. One of the two is a long test: eager for names in `in_graph`, else graph."""
    for name, changes in zip(names, variants, strict=True):
        is_long = name not in in_graph
        yield pytest.param(changes, False, id=f"{name}, eager", marks=[] if is_long else pytest.mark.long)
        yield pytest.param(changes, True, id=f"{name}, graph", marks=pytest.mark.long if is_long else [])


@pytest.mark.parametrize(
    ("changes", "in_graph"),
    in_both_ways(VARIANTS, map(str, VARIANTS), [str(LAZY_PENALTY), str(UNROLLED), str(DECAYING)]),
)
def test_every_variant_trains_all_weights_and_stays_finite(small_config, changes, in_graph):
    gan = GAN(small_config(**changes))
    before = state(gan)
    source = batches(gan.config, 2)
    metrics = gan.train_steps(iter(source), tf.constant(2))[0] if in_graph else train(gan, source)[-1]
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
    assert after["step"] == 2


def test_same_seed_same_weights_and_another_seed_others(small_config):
    first, same, other = (trained(small_config(dropout=0.3, seed=seed), steps=2) for seed in (0, 0, 1))
    assert_same(state(first), state(same))
    assert not np.array_equal(generator_kernel(first), generator_kernel(other))


def test_steps_per_call_do_not_matter(small_config):
    config = small_config(dropout=0.3)
    once, singly = GAN(config), GAN(config)
    together, _ = once.train_steps(iter(batches(config, 4)), tf.constant(4))
    source = iter(batches(config, 4))
    apart = [singly.train_steps(source, tf.constant(1))[0] for _ in range(4)]
    assert_same(state(once), state(singly))
    for name, value in together.items():
        np.testing.assert_allclose(value, np.mean([each[name] for each in apart]), rtol=1e-5, err_msg=name)


def latents(config, step=0, update=0):
    """What the generator is shown in a step: a function of the seed, the step, the update and the purpose 0."""
    key = [config.seed + (update << 40), step * PURPOSES]
    return tf.random.stateless_normal((config.batch_size, config.latent_dim), key, alg="philox")


cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def update_discriminator(gan, images, z):
    """One update, written out with plain Keras calls; returns both logits."""
    fakes = gan.generator(z, training=True)
    with tf.GradientTape() as tape:
        if gan.config.joint_batch:
            real, fake = tf.split(gan.discriminator(tf.concat([images, fakes], 0), training=True), 2)
        else:
            real, fake = (gan.discriminator(seen, training=True) for seen in (images, fakes))
        loss = cross_entropy(tf.ones_like(real), real) + cross_entropy(tf.zeros_like(fake), fake)
    variables = gan.discriminator.trainable_variables
    gan.discriminator_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    return real, fake


@pytest.mark.parametrize("joint_batch", [False, True])
def test_step_by_hand(small_config, joint_batch):
    """The order and the losses of one step, written out with plain Keras calls on the same weights and noise."""
    config = small_config(ema_decay=0.0, joint_batch=joint_batch)
    gan, hand = GAN(config), GAN(config)
    (metrics,) = train(gan, batches(config, 1))

    z, (images, _) = latents(config), next(iter(batches(config, 1)))
    real, fake = update_discriminator(hand, to_float(images), z)
    with tf.GradientTape() as tape:
        # Batch statistics are the same in a second pass, so only the moving ones would differ from one pass.
        logits = hand.discriminator(hand.generator(z, training=True), training=True)
        generator_loss = cross_entropy(tf.ones_like(logits), logits)
    variables = hand.generator.trainable_variables
    hand.generator_optimizer.apply_gradients(zip(tape.gradient(generator_loss, variables), variables, strict=True))

    expected = {
        "loss/discriminator_real": cross_entropy(tf.ones_like(real), real),
        "loss/discriminator_fake": cross_entropy(tf.zeros_like(fake), fake),
        "loss/generator": generator_loss,
        "prob/real": tf.reduce_mean(tf.sigmoid(real)),
        "prob/fake": tf.reduce_mean(tf.sigmoid(fake)),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    for one, two in ((gan.discriminator, hand.discriminator), (gan.generator, hand.generator)):
        for variable, value in zip(one.trainable_variables, two.trainable_variables, strict=True):
            np.testing.assert_allclose(variable, value, atol=2e-5, err_msg=variable.path)


def test_several_discriminator_steps_by_hand(small_config):
    """Three updates, each with its own batch and noise: two by themselves, then one in a step as usual."""
    config = small_config(discriminator_steps=3, ema_decay=0.0)
    gan, hand = trained(config, steps=1), GAN(config)
    images, _ = next(iter(batches(config, 1)))
    for update, part in enumerate(tf.split(to_float(images), 3)):
        update_discriminator(hand, part, latents(config, update=update))
    for ours, theirs in zip(gan.discriminator.trainable_variables, hand.discriminator.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=ours.path)
    assert int(gan.discriminator_optimizer.iterations) == 3
    assert int(gan.generator_optimizer.iterations) == 1
    assert not np.array_equal(latents(config, update=0), latents(config, update=1))


def test_moving_average_in_closed_form(small_config):
    gan = GAN(small_config(ema_decay=0.999))
    average = generator_kernel(gan)
    for step, batch in enumerate(batches(gan.config, 3)):
        gan.train_step(*batch)
        decay = (1 + step) / (10 + step)  # Below 0.999 this early
        average = decay * average + (1 - decay) * generator_kernel(gan)
    np.testing.assert_allclose(gan.ema_generator.get_layer("project").kernel, average, rtol=1e-5, atol=1e-7)
    for ours, theirs in zip(
        gan.ema_generator.non_trainable_variables, gan.generator.non_trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_no_averaging_at_decay_zero(small_config):
    gan = trained(small_config(ema_decay=0.0), steps=2)
    for ours, theirs in zip(gan.ema_generator.variables, gan.generator.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fresh_noise_changes_the_generator_alone(small_config):
    plain, fresh = (trained(small_config(fresh_noise=is_fresh), steps=1) for is_fresh in (False, True))
    assert not np.array_equal(generator_kernel(fresh), generator_kernel(plain))
    # The discriminator's update comes before the fresh noise and is the same.
    np.testing.assert_array_equal(logits_kernel(fresh), logits_kernel(plain))


def test_dropout_masks_follow_seed_and_step_alone(small_config):
    """Compares D's answers to the same images, with learning rates so small that no weight changes."""
    rates = {"learning_rate_generator": 1e-30, "learning_rate_discriminator": 1e-30}
    gan = GAN(small_config(dropout=0.5, **rates))
    batch = next(iter(batches(gan.config, 1)))

    def answer(step):
        gan.step.assign(step)
        return float(gan.train_step(*batch)[0]["prob/real"])

    first, other = answer(5), answer(6)
    assert answer(5) == first
    assert other != first


def test_training_does_not_depend_on_the_dropout_layers_own_state(small_config):
    """Keras's state is in no checkpoint: a resumed process starts with another one."""
    results = []
    for used_before in (0, 5):
        gan = GAN(small_config(dropout=0.5))
        for _ in range(used_before):
            gan.discriminator(tf.ones((2, 16, 16, 1)), training=True)
        gan.discriminator.set_weights(GAN(gan.config).discriminator.get_weights())
        train(gan, batches(gan.config, 1))
        results.append(logits_kernel(gan))
    np.testing.assert_array_equal(*results)


def test_stops_in_the_step_that_is_not_finite(small_config):
    gan = GAN(small_config())
    source = iter(batches(gan.config, 7))
    gan.train_steps(source, tf.constant(2))
    gan.discriminator.get_layer("logits").bias.assign([np.nan])
    metrics, norms = gan.train_steps(source, tf.constant(5))
    assert int(gan.step) == 3
    assert np.isnan(metrics["loss/discriminator_real"])
    assert np.isnan(norms["discriminator"].numpy()).any()


def test_the_loop_needs_no_source_code_and_no_temporary_files(small_config, monkeypatch):
    """AutoGraph would: on a full disk, it left the loop as it was, and TensorFlow refused it."""
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    gan = GAN(small_config())
    gan.train_steps(iter(batches(gan.config, 2)), tf.constant(2))
    assert int(gan.step) == 2


@pytest.mark.parametrize(
    "upsampling", ["transposed", *(pytest.param(name, marks=pytest.mark.long) for name in ("nearest", "bilinear"))]
)
def test_xla_gives_the_same_step(small_config, monkeypatch, upsampling):
    # XLA draws other normal numbers from the same key, so both get the same ones here.
    noise = tf.constant(np.random.default_rng(0).normal(size=(16, 8)), tf.float32)
    monkeypatch.setattr(chance, "normal", lambda *_, **__: noise)
    plain, compiled = (GAN(small_config(upsampling=upsampling, jit_compile=jit)) for jit in (False, True))
    ((images, labels),) = batches(plain.config, 1)
    metrics, norms = plain.train_step(images, labels)
    compiled_metrics, compiled_norms = compiled.train_steps(iter(batches(plain.config, 1)), tf.constant(1))
    for name in METRICS:
        np.testing.assert_allclose(compiled_metrics[name], metrics[name], rtol=2e-4, err_msg=name)
    for name in norms:
        np.testing.assert_allclose(compiled_norms[name], norms[name], rtol=2e-3, atol=1e-5, err_msg=name)


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
    """The copy's dropout masks and singular vectors change as they do in real calls."""
    gan = GAN(small_config(dropout=0.5, spectral_norm=True, discriminator_norm="none", unroll_steps=2))
    images = tf.ones((2, 16, 16, 1))
    weights = [variable.value for variable in gan.discriminator.trainable_variables]
    before = [variable.numpy() for variable in gan.discriminator.variables]
    logits_of = virtual_logits(gan.discriminator, None)
    virtual = [logits_of(images, weights).numpy() for _ in range(3)]
    for variable, expected in zip(gan.discriminator.variables, before, strict=True):
        np.testing.assert_array_equal(variable, expected)
    real = [gan._logits(images, None).numpy() for _ in range(3)]
    np.testing.assert_array_equal(virtual, real)
    assert not np.array_equal(real[0], real[1])


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_generator_gradient_of_unrolling_by_real_updates_and_numerical_differences(small_config, loss):
    """Differences along one direction in G's weights. D learns by its optimizer, then its weights are restored.

    In the zero-sum game, G's loss is D's after the updates, negated. With another loss, G's own one replaces the part
    in which G faces the updated D; the part in which G changes the updates stays.
    """
    ring = {**RING, "image_size": "auto", "channels": "auto", "leaky_slope": 0.99}  # Nearly without kinks
    gan = trained(small_config(**ring, loss=loss, unroll_steps=3, learning_rate_discriminator=0.2), steps=3)
    ((points, _),) = batches(gan.config, 1)
    points = points / 128 - 1  # Near the generated ones, so that D is not sure
    kernel, variables = gan.generator.get_layer("to_image").kernel, gan.discriminator.trainable_variables
    start, direction = kernel.numpy(), np.random.default_rng(0).normal(size=kernel.shape).astype(np.float32)
    state_of_d = [*gan.discriminator.variables, *gan.discriminator_optimizer.variables]
    before = [variable.numpy() for variable in state_of_d]

    def fakes(move):
        kernel.assign(start + move * direction)
        return gan._generate(0, None, 0)

    def loss_of_d(images):
        return gan._discriminator_loss(points, images, 0, lambda seen: gan._logits(seen, None))[0]

    def after_updates(move, measure):
        images = fakes(move)
        for _ in range(3):
            with tf.GradientTape() as tape:
                value = loss_of_d(images)
            gan._apply_to_discriminator(tape.gradient(value, [variable.value for variable in variables]))
        measured = float(measure())
        for variable, value in zip(state_of_d, before, strict=True):
            variable.assign(value)
        return measured

    def slope(of_move):
        return (of_move(2e-3) - of_move(-2e-3)) / 4e-3

    if loss == "minimax":
        expected = slope(lambda move: after_updates(move, lambda: -loss_of_d(fakes(move))))
    else:
        own = lambda images: gan._mean(gan.loss.generator(gan._logits(images, None)))  # noqa: E731
        facing = slope(lambda move: after_updates(0, lambda: own(fakes(move))))
        changing = slope(lambda move: after_updates(move, lambda: -loss_of_d(fakes(0))))
        assert abs(changing) > 0.1 * abs(facing)
        expected = facing + changing
    with tf.GradientTape() as tape:
        images = fakes(0)
        value = gan._generator_loss(points, images, None)
    assert float(tf.reduce_sum(tape.gradient(value, kernel.value) * direction)) == pytest.approx(expected, rel=0.02)


def test_lazy_penalty_counts_for_the_steps_between(small_config):
    lazy = GAN(small_config(penalty="r1", discriminator_norm="none", penalty_every=3))
    eager = GAN(small_config(penalty="r1", discriminator_norm="none"))
    values = [float(metrics["loss/penalty"]) for metrics in train(lazy, batches(lazy.config, 5))]
    assert [value > 0 for value in values] == [True, False, False, True, False]
    (metrics,) = train(eager, batches(eager.config, 1))
    assert values[0] == pytest.approx(3 * float(metrics["loss/penalty"]), rel=1e-5)


def test_r1_with_batch_norm_is_of_the_sum_of_the_batch_and_leaves_no_trace(small_config):
    gan = GAN(small_config(penalty="r1", penalty_weight=0.5, learning_rate_discriminator=1e-12, dropout=0.2))
    plain = GAN(small_config(learning_rate_discriminator=1e-12, dropout=0.2))
    ((images, labels),) = batches(gan.config, 1)
    real = tf.Variable(to_float(images))
    gan._noise.key_dropouts(gan._dropouts)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(logits_apart(gan.discriminator, None)(real))
    by_hand = 0.5 * np.sum(np.square(tape.gradient(total, real))) / 2 / len(images)
    metrics, _ = gan.train_step(images, labels)
    assert float(metrics["loss/penalty"]) == pytest.approx(by_hand, rel=1e-4)
    plain.train_step(images, labels)
    for ours, theirs in zip(gan.discriminator.variables, plain.discriminator.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7, err_msg=ours.path)


def test_r1_r2_with_batch_norm_judges_real_and_fake_images_apart_as_the_loss_does(small_config):
    both, one, joint = (GAN(small_config(**changes)) for changes in (
        {"penalty": "r1_r2"}, {"penalty": "r1"}, {"penalty": "r1_r2", "joint_batch": True}
    ))  # fmt: skip
    random = np.random.default_rng(0)
    shape = (both.config.batch_size, *both.config.sample_shape)
    real, fake = (tf.constant(random.normal(middle, 0.3, shape), tf.float32) for middle in (0.5, -0.5))

    def penalty(gan, first, second):
        return float(gan._penalty(first, second, 0, logits_apart(gan.discriminator, None)))

    parts = penalty(one, real, real) + penalty(one, fake, fake)
    assert penalty(both, real, fake) == pytest.approx(parts, rel=1e-5)
    assert penalty(joint, real, fake) != pytest.approx(parts, rel=1e-2)


def test_gradient_of_r1_with_batch_norm_by_finite_differences(small_config):
    gan = GAN(small_config(penalty="r1", leaky_slope=0.9))
    ((images, _),) = batches(gan.config, 1)
    real, kernel = to_float(images), gan.discriminator.trainable_variables[2]

    def penalty():
        return gan._penalty(real, real, 0, logits_apart(gan.discriminator, None))

    with tf.GradientTape() as tape:
        value = penalty()
    gradient, start = tape.gradient(value, kernel.value), kernel.numpy()
    direction = gradient / tf.norm(gradient)
    values = []
    for move in (-1e-3, 1e-3):
        kernel.assign(start + move * direction)
        values.append(float(penalty()))
    assert float(tf.norm(gradient)) == pytest.approx((values[1] - values[0]) / 2e-3, rel=0.02)


def test_clipping_bounds_every_weight(small_config):
    gan = trained(small_config(loss="wasserstein", weight_clip=0.01), steps=2)
    for variable in gan.discriminator.trainable_variables:
        assert np.abs(variable).max() <= 0.01 + 1e-9


def test_packing_joins_images_in_the_channels(small_config):
    gan = GAN(small_config(pack=4))
    assert gan.discriminator.input.shape == (None, 16, 16, 4)
    ((images, labels),) = batches(gan.config, 1)
    packed = np.stack([np.concatenate([images[row + part] for part in (0, 4, 8, 12)], -1) for row in range(4)])
    logits = gan.discriminator(to_float(packed), training=True)
    metrics, _ = gan.train_step(images, labels)
    np.testing.assert_allclose(metrics["prob/real"], tf.reduce_mean(tf.sigmoid(logits)), rtol=1e-5)


@pytest.mark.parametrize(("steps", "decay_steps"), [(9, 12), (12, 0)])
def test_both_learning_rates_decay_over_the_named_steps_or_the_run(small_config, steps, decay_steps):
    config = small_config(learning_rate_decay="linear", learning_rate_decay_steps=decay_steps, steps=steps)
    gan = trained(config, steps=4)
    # The fourth step ran at 3 of 12.
    np.testing.assert_allclose(gan.generator_optimizer.learning_rate, 0.75 * gan.config.learning_rate_generator)
    np.testing.assert_allclose(gan.discriminator_optimizer.learning_rate, 0.75 * gan.config.learning_rate_discriminator)


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


@pytest.mark.parametrize(
    ("changes", "in_graph"),
    in_both_ways(STABILIZED, ["noise", "wgan_gp", "relativistic", "clip", "spectral"], []),
)
def test_resume_is_exact_with_every_stabilizer(small_config, changes, in_graph, tmp_path):
    config = small_config(**changes)

    def train_two_steps(gan, source):
        gan.train_steps(iter(source), tf.constant(2)) if in_graph else train(gan, source.take(2))

    straight, resumed = GAN(config), GAN(config)
    train_two_steps(straight, batches(config, 4))
    straight.checkpoint().write(str(tmp_path / "checkpoint"))
    train_two_steps(straight, batches(config, 4).skip(2))
    resumed.checkpoint().read(str(tmp_path / "checkpoint")).assert_consumed()
    train_two_steps(resumed, batches(config, 4).skip(2))
    assert_same(state(resumed), state(straight))


def test_each_kind_of_noise_reaches_the_step(small_config):
    plain = logits_kernel(trained(small_config(), steps=1))
    for name in ("instance_noise", "label_smoothing", "label_noise", "label_flip"):
        assert not np.array_equal(logits_kernel(trained(small_config(**{name: 0.3}), steps=1)), plain), name


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_rmsprop_takes_steps_of_the_same_length_whatever_the_size_of_the_gradients(small_config, size):
    """Arjovsky et al. 2017 clip D's weights, so its gradients are tiny."""
    variable = keras.Variable(np.zeros(2, np.float32))
    network = types.SimpleNamespace(trainable_variables=[variable])
    optimizer = build_optimizer(small_config(optimizer="rmsprop", beta_2=0.75), 0.1, network)
    gradients = size * np.array([[1.0, -3.0], [2.0, 0.0]])
    mean, value = np.zeros(2), np.zeros(2)
    for gradient in gradients:
        apply_gradients(optimizer, [tf.constant(gradient, tf.float32)], [variable])
        mean = 0.75 * mean + 0.25 * gradient**2
        value -= 0.1 * gradient / np.sqrt(mean)
    np.testing.assert_allclose(variable, value, rtol=1e-3)


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
