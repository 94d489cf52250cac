"""Weights that move from one network to another, and those that stay."""

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.models.discriminator import build_discriminator
from dcgan_tf.models.generator import build_generator
from dcgan_tf.models.mlp import build_mlp_discriminator, build_mlp_generator
from dcgan_tf.models.weights import copy_weights, freeze_blocks

GENERATOR = {"latent_dim": 8, "filters": 4}


def weights_of(network):
    return {weight.path: weight.numpy() for weight in network.weights}


def copied_to(source, target):
    """The weights copied, as they are in the target, and those left, after a check that nothing else has changed."""
    for number, weight in enumerate(source.weights):
        weight.assign(np.random.default_rng(number).normal(size=weight.shape))
    before = weights_of(target)
    result = copy_weights(source, target)
    after = weights_of(target)
    assert set(result.copied).isdisjoint(result.left)
    assert {*result.copied, *result.left} == after.keys()
    for path in result.left:
        np.testing.assert_array_equal(after[path], before[path], err_msg=path)
    return {path: after[path] for path in result.copied}, result.left


@pytest.mark.parametrize(
    "build",
    [
        lambda seed: build_generator(16, 16, 1, **GENERATOR, class_count=3, seed=seed),
        lambda seed: build_discriminator(16, 16, 1, filters=4, spectral_norm=True, minibatch_stddev=True, seed=seed),
        lambda seed: build_mlp_generator((16, 16, 1), units=(6, 4), seed=seed),
    ],
    ids=["generator", "discriminator", "mlp"],
)
def test_network_of_the_same_kind_is_copied_whole(build):
    source, target = build(0), build(1)
    copied, left = copied_to(source, target)
    assert not left
    for path, value in weights_of(source).items():
        np.testing.assert_array_equal(copied[path], value, err_msg=path)


def test_generators_of_other_sizes_meet_at_the_image():
    """Sizes 4 -> 8 -> 16 and 4 -> 8 -> 16 -> 32: the layer 16 -> 32 gets the weights of the layer 8 -> 16."""
    small, large = build_generator(16, 16, 1, **GENERATOR), build_generator(32, 32, 1, **GENERATOR)
    copied, left = copied_to(small, large)
    assert {path.partition("/")[0] for path in copied} == {"block_2", "block_2_norm", "to_image"}
    assert {path.partition("/")[0] for path in left} == {"project", "project_norm", "block_1", "block_1_norm"}
    np.testing.assert_array_equal(copied["block_2/kernel"], small.get_layer("block_1").kernel)
    np.testing.assert_array_equal(copied["to_image/kernel"], small.get_layer("to_image").kernel)
    assert left["project/kernel"] == ((8, 4 * 4 * 16), (8, 4 * 4 * 8))
    assert left["block_1/kernel"] == ((4, 4, 8, 16), None)

    copied, left = copied_to(large, small)
    np.testing.assert_array_equal(copied["block_1/kernel"], large.get_layer("block_2").kernel)
    assert set(left) == {"project/kernel", *(f"project_norm/{n}" for n in ("gamma", "beta")),
                         *(f"project_norm/moving_{n}" for n in ("mean", "variance"))}  # fmt: skip


def test_discriminators_of_other_sizes_meet_at_the_image():
    small, large = build_discriminator(16, 16, 3, filters=4), build_discriminator(32, 32, 3, filters=4)
    copied, left = copied_to(small, large)
    np.testing.assert_array_equal(copied["block_1/kernel"], small.get_layer("block_1").kernel)
    np.testing.assert_array_equal(copied["block_2/kernel"], small.get_layer("block_2").kernel)
    assert left["logits/kernel"] == ((4 * 4 * 16, 1), (4 * 4 * 8, 1))
    assert left["block_3/kernel"] == ((4, 4, 8, 16), None)


def test_other_channels_and_classes_leave_their_own_weights_alone():
    copied, left = copied_to(build_generator(16, 16, 1, **GENERATOR), build_generator(16, 16, 3, **GENERATOR))
    assert set(left) == {"to_image/kernel", "to_image/bias"}
    assert "block_1/kernel" in copied
    sources = [build_generator(16, 16, 1, **GENERATOR, class_count=classes) for classes in (3, 5)]
    assert copied_to(*sources)[1] == {"label_embedding/kernel": ((5, 50), (3, 50))}


def test_fully_connected_generators_meet_at_the_image():
    shallow, deep = (build_mlp_generator((16, 16, 1), latent_dim=8, units=units) for units in ((6, 4), (5, 6, 4)))
    copied, left = copied_to(shallow, deep)
    np.testing.assert_array_equal(copied["hidden_3/kernel"], shallow.get_layer("hidden_2").kernel)
    np.testing.assert_array_equal(copied["to_image/kernel"], shallow.get_layer("to_image").kernel)
    assert set(left) == {"hidden_1/kernel", "hidden_1/bias", "hidden_2/kernel"}


def test_kernel_of_a_transposed_convolution_is_not_that_of_a_convolution():
    """Its axes are in another order, which the shape does not show if input and output have equally many channels."""
    same_widths = {"latent_dim": 8, "filters": (4, 4)}
    transposed = build_generator(16, 16, 1, **same_widths)
    copied, left = copied_to(transposed, build_generator(16, 16, 1, **same_widths, upsampling="nearest"))
    assert left["block_1/kernel"] == ((4, 4, 4, 4), None)
    assert "project/kernel" in copied


@pytest.mark.parametrize("count", [0, 1, 2])
def test_frozen_blocks_are_the_first_from_the_image(count):
    discriminator = build_discriminator(16, 16, 1, filters=4)
    freeze_blocks(discriminator, count)
    trained = {variable.path for variable in discriminator.trainable_variables}
    frozen = {"block_1/kernel", "block_1/bias"} if count else set()
    frozen |= {"block_2/kernel", "block_2_norm/gamma", "block_2_norm/beta"} if count == 2 else set()
    assert trained.isdisjoint(frozen)
    everything = {
        v.path for layer in build_discriminator(16, 16, 1, filters=4).layers for v in layer.trainable_variables
    }
    assert trained | frozen == everything
    assert "logits/kernel" in trained


@pytest.mark.parametrize(
    ("build", "depth"),
    [
        (lambda: build_discriminator(28, 28, 1, filters=4), 3),
        (lambda: build_mlp_discriminator((2,), units=(4,)), 1),
    ],
    ids=["dcgan", "mlp"],
)
def test_freeze_deeper_than_the_discriminator_is_refused(build, depth):
    discriminator = build()
    freeze_blocks(discriminator, depth)
    with pytest.raises(UserError) as error:
        freeze_blocks(discriminator, depth + 1)
    assert str(error.value) == (
        f"`freeze_discriminator`: expected at most {depth}, the number of blocks of this discriminator. "
        f"Received: {depth + 1}"
    )
    assert error.value.field == "freeze_discriminator"
