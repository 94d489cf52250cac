import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.objectives.unrolled import unroll

RATE, BETA_1, BETA_2, EPSILON = 0.1, 0.5, 0.9, 1e-7


def make_optimizer(weight):
    """Adam after one real update, so that its moments are not zero."""
    optimizer = keras.optimizers.Adam(RATE, BETA_1, BETA_2, epsilon=EPSILON)
    optimizer.build([weight])
    optimizer.apply([tf.constant(0.7)], [weight])
    return optimizer


def adam_by_hand(weight, gradients):
    """The same in NumPy: the moments after the update with 0.7, then one update with each gradient."""
    first, second = 0.5 * 0.7, 0.1 * 0.7**2
    for step, gradient in enumerate(gradients, start=2):
        first = BETA_1 * first + (1 - BETA_1) * gradient
        second = BETA_2 * second + (1 - BETA_2) * gradient**2
        rate = RATE * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        weight -= rate * first / (np.sqrt(second) + EPSILON)
    return weight


def test_gradient_through_one_update_by_hand():
    """D's loss w * g and G's loss (w after the update)^2: d/dg = 2 w' dw'/dg, with dw'/dg from Adam's formula."""
    weight = keras.Variable(1.0)
    optimizer = make_optimizer(weight)
    g = tf.Variable(0.3)
    with tf.GradientTape() as tape:
        (after,) = unroll([tf.convert_to_tensor(weight)], optimizer, lambda weights: weights[0] * g, 1)
        value = after**2
    start = float(weight)
    expected = adam_by_hand(start, [0.3])
    np.testing.assert_allclose(after, expected, rtol=1e-5)
    first, second = 0.5 * 0.35 + 0.5 * 0.3, 0.9 * 0.049 + 0.1 * 0.09
    rate = RATE * np.sqrt(1 - BETA_2**2) / (1 - BETA_1**2)
    derivative = -rate * (0.5 / np.sqrt(second) - first * 0.1 * 0.3 / second**1.5)
    np.testing.assert_allclose(tape.gradient(value, g), 2 * expected * derivative, rtol=1e-4)


def test_second_derivative_of_the_loss_reaches_the_generator():
    """D's loss g w^2 / 2 has the gradient g w, which moves with w: three updates against numerical differences."""
    weight = keras.Variable(1.0)
    optimizer = make_optimizer(weight)
    start = float(weight)

    def by_hand(g):
        gradients, w = [], start
        for _ in range(3):
            gradients.append(g * w)
            w = adam_by_hand(start, gradients)
        return w

    g = tf.Variable(0.3)
    with tf.GradientTape() as tape:
        (after,) = unroll([tf.convert_to_tensor(weight)], optimizer, lambda weights: g * weights[0] ** 2 / 2, 3)
    np.testing.assert_allclose(after, by_hand(0.3), rtol=1e-5)
    numerical = (by_hand(0.3 + 1e-5) - by_hand(0.3 - 1e-5)) / 2e-5
    np.testing.assert_allclose(tape.gradient(after, g), numerical, rtol=1e-3)


def test_nothing_is_changed_and_no_step_is_the_weights_themselves():
    weight = keras.Variable(1.0)
    optimizer = make_optimizer(weight)
    before = [variable.numpy() for variable in (weight, *optimizer.variables)]
    (same,) = unroll([tf.convert_to_tensor(weight)], optimizer, lambda weights: weights[0], 0)
    unroll([tf.convert_to_tensor(weight)], optimizer, lambda weights: weights[0], 4)
    np.testing.assert_array_equal(same, weight)
    for variable, expected in zip((weight, *optimizer.variables), before, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_virtual_updates_are_those_of_the_real_optimizer():
    """Two weights of one shape with gradients of their own: a mix-up of Adam's moments would show."""
    pairs = [(keras.Variable(1.0), keras.Variable(-2.0)) for _ in range(2)]
    optimizers = []
    for pair in pairs:
        optimizer = keras.optimizers.Adam(RATE, BETA_1, BETA_2)
        optimizer.build(list(pair))
        optimizer.apply([tf.constant(0.7), tf.constant(-5.0)], list(pair))
        optimizers.append(optimizer)

    def loss(weights):
        return 0.3 * weights[0] ** 2 + weights[0] * weights[1] - 2 * weights[1]

    after = unroll([tf.convert_to_tensor(weight) for weight in pairs[0]], optimizers[0], loss, 5)
    for _ in range(5):
        x, y = (tf.convert_to_tensor(weight) for weight in pairs[1])
        optimizers[1].apply([0.6 * x + y, x - 2], list(pairs[1]))
    np.testing.assert_allclose(after, [float(weight) for weight in pairs[1]], rtol=1e-5)


def test_weight_without_gradient_stays_finite():
    optimizer = keras.optimizers.Adam(RATE)
    weight = keras.Variable(1.0)
    optimizer.build([weight])
    g = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        (after,) = unroll([tf.convert_to_tensor(weight)], optimizer, lambda weights: g * weights[0], 2)
    assert np.isfinite(after)
    assert np.isfinite(tape.gradient(after, g))
