"""Second derivatives of what a gradient penalty or unrolling differentiates twice, against differences of the first."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.models.layers import BatchNorm, LayerFactory
from dcgan_tf.models.minibatch import MinibatchStddev
from dcgan_tf.objectives.unrolled import unroll
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.virtual import virtual_logits

# A slope at which LeakyReLU has no kink, because a difference would jump over it.
NO_KINK = 1 - 1e-6
# Name -> options of the factory, and the layer over its input.
LAYERS = {
    "convolution": ({}, lambda layers, x: layers.downsample(4, use_bias=True, name="layer")(x)),
    "spectral convolution": (
        {"spectral_norm": True, "is_unrolled": True},
        lambda layers, x: layers.downsample(4, use_bias=True, name="layer")(x),
    ),
    "dense": ({}, lambda layers, x: layers.dense(4, name="layer")(x)),
    "spectral dense": (
        {"spectral_norm": True, "is_unrolled": True},
        lambda layers, x: layers.dense(4, name="layer")(x),
    ),
    "layer normalization": ({}, lambda layers, x: layers.normalize(x, "layer", "layer")),
    "batch normalization": ({}, lambda layers, x: BatchNorm(synchronized=True, dtype="float64")(x)),
    "leaky relu": ({}, lambda layers, x: layers.leaky_relu("layer")(x)),
    "minibatch standard deviation": ({}, lambda layers, x: MinibatchStddev(0.9, dtype="float64")(x)),
    "flatten": ({}, lambda layers, x: keras.layers.Flatten(dtype="float64")(x)),
    "average pool": ({}, lambda layers, x: keras.layers.GlobalAveragePooling2D(dtype="float64")(x)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    """With respect to the input and the weights, also mixed: one product of the Hessian with a random direction."""
    options, build = LAYERS[name]
    x = keras.Input((6, 6, 3), dtype="float64")
    network = keras.Model(x, build(LayerFactory(0, "float64", **options), x))
    start, direction, factors = random_point(network)
    step = 1e-5
    before, after = (
        gradient(network, [s + move * d for s, d in zip(start, direction, strict=True)], factors)
        for move in (-step, step)
    )
    for ours, less, more in zip(hessian_product(network, start, direction, factors), before, after, strict=True):
        np.testing.assert_allclose(ours, (more - less) / (2 * step), rtol=1e-6, atol=1e-6)


def test_fused_batch_normalization():
    """It supports only float32, where differences are noise, so it is compared with the layer tested above."""
    products = []
    for synchronized, dtype in ((True, "float64"), (False, "float32")):
        x = keras.Input((6, 6, 3), dtype=dtype)
        network = keras.Model(x, BatchNorm(synchronized=synchronized, dtype=dtype)(x))
        products.append(hessian_product(network, *random_point(network)))
    for expected, fused in zip(*products, strict=True):
        np.testing.assert_allclose(fused, expected, rtol=1e-4, atol=1e-4)


def random_point(network):
    """Input and weights, a direction for all of them, and factors of the outputs."""
    random, dtype = np.random.default_rng(0), network.input.dtype
    shapes = [(4, *network.input.shape[1:]), *(weight.shape for weight in network.trainable_variables)]
    start, direction = ([tf.constant(random.normal(size=shape), dtype) for shape in shapes] for _ in range(2))
    return start, direction, tf.constant(random.normal(size=network.compute_output_shape(shapes[0])), dtype)


def gradient(network, point, factors):
    with tf.GradientTape() as tape:
        tape.watch(point)
        outputs, _ = network.stateless_call(point[1:], network.non_trainable_variables, point[0], training=True)
        value = tf.reduce_sum(factors * tf.tanh(outputs))
    return tape.gradient(value, point)


def hessian_product(network, start, direction, factors):
    with tf.GradientTape() as tape:
        tape.watch(start)
        gradients = gradient(network, start, factors)
        along = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(gradients, direction, strict=True)])
    return tape.gradient(along, start)


def discriminator_weights(gan):
    """The weights of D, made positive so that feature maps have means, which a wrong derivative would neglect."""
    random = np.random.default_rng(1)
    for variable in gan.discriminator.trainable_variables:
        variable.assign(np.abs(variable.numpy() + 0.1 * random.normal(size=variable.shape)))
    return [variable.value for variable in gan.discriminator.trainable_variables]


def difference_along(values, variables, direction, step):
    """The derivative of `values()` along a direction in the variables, from two values."""
    results = []
    for move in (-step, step):
        for variable, part in zip(variables, direction, strict=True):
            variable.assign_add(move * part)
        results.append(float(values()))
        for variable, part in zip(variables, direction, strict=True):
            variable.assign_sub(move * part)
    return (results[1] - results[0]) / (2 * step)


@pytest.mark.parametrize(
    "changes",
    [
        {"penalty": "wgan_gp", "discriminator_norm": "layer"},
        {"penalty": "r1", "discriminator_norm": "layer", "discriminator_head": "average_pool"},
        {"penalty": "dragan", "discriminator_norm": "none", "conditional": True, "class_names": ("a", "b")},
        {"penalty": "wgan_gp", "architecture": "mlp", "generator_filters": "16", "discriminator_filters": "16,16"},
    ],
    ids=["wgan_gp", "r1", "dragan", "mlp"],
)
def test_gradient_of_a_penalty_through_the_whole_discriminator(small_config, changes):
    gan = GAN(small_config(**changes, leaky_slope=NO_KINK))
    weights = discriminator_weights(gan)
    random = np.random.default_rng(0)
    real, fake = (tf.constant(random.uniform(-1, 1, (16, 16, 16, 1)), tf.float32) for _ in range(2))
    classes = tf.range(16, dtype=tf.int64) % 2 if gan.config.conditional else None

    def penalty():
        return gan._penalty(real, fake, 0, lambda seen: gan._logits(seen, classes))

    with tf.GradientTape() as tape:
        value = penalty()
    parts = tape.gradient(value, weights, unconnected_gradients="zero")
    # Along the gradient itself, where every wrong part shows.
    length = tf.linalg.global_norm(parts)
    direction = [part / length for part in parts]
    assert float(length) == pytest.approx(difference_along(penalty, weights, direction, 1e-3), rel=2e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"discriminator_norm": "batch", "minibatch_stddev": True},
        {"discriminator_norm": "none", "spectral_norm": True},
        {
            "discriminator_norm": "layer", "discriminator_head": "average_pool", "dropout": 0.3,
            "conditional": True, "class_names": ("a", "b"),
        },
    ],
    ids=["batch", "spectral", "layer"],
)  # fmt: skip
def test_gradient_through_virtual_updates_of_the_whole_discriminator(small_config, changes):
    gan = GAN(
        small_config(**changes, unroll_steps=2, leaky_slope=NO_KINK, learning_rate_discriminator=1e-2, batch_size=4)
    )
    random = np.random.default_rng(0)
    for variable in gan.discriminator_optimizer.variables[2:]:  # As after some updates: no square root of 0
        variable.assign(random.uniform(1e-3, 1e-2, variable.shape))
    real = tf.constant(random.uniform(-1, 1, (4, 16, 16, 1)), tf.float32)
    classes = tf.range(4, dtype=tf.int64) % 2 if gan.config.conditional else None
    kernel = gan.generator.get_layer("to_image").kernel.value
    fixed = gan._generate(0, classes, 0)

    def loss_after_updates(learned_from, faced):
        """G's own loss and D's loss on real images and on the fixed ones, with one state of D."""
        logits_of = virtual_logits(gan.discriminator, classes)
        loss_of_d = lambda images, weights: gan._discriminator_loss(  # noqa: E731
            real, images, 0, lambda seen: logits_of(seen, weights)
        )[0]
        weights = [tf.convert_to_tensor(variable) for variable in gan.discriminator.trainable_variables]
        weights = unroll(weights, gan.discriminator_optimizer, lambda now: loss_of_d(learned_from, now), 2)
        of_d = loss_of_d(fixed, weights)
        return gan._mean(gan.loss.generator(logits_of(faced, weights))), of_d

    def loss():
        now = gan._generate(0, classes, 0)
        return loss_after_updates(fixed, now)[0] - loss_after_updates(now, fixed)[1]

    with tf.GradientTape() as tape:
        value = gan._generator_loss(real, gan._generate(0, classes, 0), classes)
    slope = tape.gradient(value, kernel)
    length = tf.norm(slope)
    assert float(value) == pytest.approx(float(loss_after_updates(fixed, fixed)[0]), rel=1e-5)
    assert float(length) == pytest.approx(difference_along(loss, [kernel], [slope / length], 1e-3), rel=5e-4)
