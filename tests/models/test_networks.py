import dataclasses

import keras
import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.errors import UserError
from dcgan_tf.models import costs
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.models.dropout import Dropout
from dcgan_tf.models.layers import block_filters
from dcgan_tf.models.resizing import NearestConv2D


def config(**changes):
    return make_config(
        {
            "image_size": "28",
            "channels": "1",
            "kernel_size": 4,
            "generator_filters": "8",
            "discriminator_filters": "4",
            "penalty": "none",
            **changes,
        }
    )


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("size", "channels"), [("16", 1), ("28", 1), ("32", 3), ("64", 3), ("128", 3), ("48x96", 3), ("96x48", 1)]
)
def test_any_size_maps_latents_to_images_to_logits(size, channels, upsampling):
    chosen = config(image_size=size, channels=str(channels), upsampling=upsampling, generator_filters="2")
    generator, discriminator = configured_generator(chosen, seed=0), configured_discriminator(chosen, seed=1)
    images = generator(np.random.default_rng(0).normal(size=(3, 100)).astype("float32"))
    assert images.shape == (3, *chosen.height_and_width, channels)
    assert np.abs(images).max() <= 1
    assert discriminator(images).shape == (3, 1)


def test_batchnorm_is_everywhere_but_at_the_image():
    generator, discriminator = (
        configured_generator(config(image_size="64"), seed=0),
        configured_discriminator(config(image_size="64"), seed=0),
    )
    names = [layer.name for layer in generator.layers if "norm" in layer.name]
    assert names == ["project_norm", "block_1_norm", "block_2_norm", "block_3_norm"]
    assert [layer.name for layer in generator.layers[-2:]] == ["to_image", "image"]
    names = [layer.name for layer in discriminator.layers if "norm" in layer.name]
    assert names == ["block_2_norm", "block_3_norm", "block_4_norm"]


def test_activations():
    generator, discriminator = (
        configured_generator(config(), seed=0),
        configured_discriminator(config(leaky_slope=0.3), seed=0),
    )
    assert len(layers_of(generator, keras.layers.ReLU)) == 3
    assert generator.layers[-1].activation is keras.activations.tanh
    slopes = [layer.negative_slope for layer in layers_of(discriminator, keras.layers.LeakyReLU)]
    assert slopes == pytest.approx([0.3, 0.3, 0.3])
    assert discriminator.get_layer("logits").activation is keras.activations.linear


def test_downsampling_is_by_strides_alone():
    discriminator = configured_discriminator(config(), seed=0)
    assert all(layer.strides == (2, 2) for layer in layers_of(discriminator, keras.layers.Conv2D))
    assert not layers_of(discriminator, keras.layers.MaxPooling2D)
    assert not layers_of(discriminator, keras.layers.AveragePooling2D)


@pytest.mark.parametrize("head", ["flatten", "average_pool"])
def test_one_linear_layer_makes_the_logit(head):
    discriminator = configured_discriminator(config(discriminator_head=head), seed=0)
    (dense,) = layers_of(discriminator, keras.layers.Dense)
    assert dense.kernel.shape == ({"flatten": 4 * 4 * 16, "average_pool": 16}[head], 1)


def test_upsampling_by_resizing_uses_stride_one():
    generator = configured_generator(config(upsampling="bilinear"), seed=0)
    assert not layers_of(generator, keras.layers.Conv2DTranspose)
    assert [layer.interpolation for layer in layers_of(generator, keras.layers.UpSampling2D)] == ["bilinear"] * 3
    assert all(layer.strides == (1, 1) for layer in layers_of(generator, keras.layers.Conv2D))
    generator = configured_generator(config(upsampling="nearest"), seed=0)
    assert [layer.name for layer in layers_of(generator, NearestConv2D)] == ["block_1", "block_2", "to_image"]


def test_initial_weights_are_normal_with_deviation_002():
    kernel = configured_generator(config(generator_filters="64"), seed=0).get_layer("project").kernel.numpy()
    assert abs(kernel.mean()) < 2e-4
    assert kernel.std() == pytest.approx(0.02, rel=0.01)
    # 4.6% of a normal distribution lies beyond two standard deviations; a truncated one has none there.
    assert np.mean(np.abs(kernel) > 0.04) == pytest.approx(0.0455, rel=0.05)


def test_initial_weights_follow_the_seed_and_differ_between_layers():
    first, same, other = (configured_discriminator(config(image_size="64"), seed=seed) for seed in (0, 0, 1))
    for one, two, three in zip(
        first.trainable_variables, same.trainable_variables, other.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(one, two)
        if one.name == "kernel":
            assert not np.array_equal(one, three)
    flat = [variable.numpy().ravel()[:50] for variable in first.trainable_variables if variable.name == "kernel"]
    assert all(not np.array_equal(flat[0], values) for values in flat[1:])


def test_dropout_drops_in_training_only():
    assert not layers_of(configured_discriminator(config(), seed=0), keras.layers.Dropout)
    discriminator = configured_discriminator(config(dropout=0.5), seed=0)
    assert [layer.rate for layer in layers_of(discriminator, keras.layers.Dropout)] == [0.5, 0.5, 0.5]
    images = np.random.default_rng(0).uniform(-1, 1, (8, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(discriminator(images, training=False), discriminator(images, training=False))
    assert not np.array_equal(discriminator(images, training=True), discriminator(images, training=True))


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.9])
def test_dropout_in_bfloat16_drops_its_share_and_scales_the_rest(rate):
    """An odd number of activations, which does not fill the last random word."""
    layer = Dropout(rate, seed=1, dtype="mixed_bfloat16")
    first, second = (np.array(layer(np.ones((101, 7, 9, 3)), training=True), np.float32) for _ in range(2))
    kept = first > 0
    dropped = 1 - kept.mean()
    assert abs(dropped - rate) < 4 * (rate * (1 - rate) / kept.size) ** 0.5
    np.testing.assert_allclose(first[kept], 1 / (1 - rate), rtol=2**-8)
    assert not np.array_equal(first, second)
    # Two activations of the same random word are independent.
    pairs = kept.ravel()[: kept.size // 2 * 2].reshape(-1, 2)
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 4 / len(pairs) ** 0.5


def test_filters():
    assert block_filters("generator_filters", 64, 4, from_image=False) == (512, 256, 128, 64)
    assert block_filters("discriminator_filters", (64,), 4, from_image=True) == (64, 128, 256, 512)
    assert block_filters("discriminator_filters", (128, 128), 2, from_image=True) == (128, 128)
    with pytest.raises(UserError, match=r"`discriminator_filters`.*2 blocks.*Received: 1,2,3"):
        block_filters("discriminator_filters", (1, 2, 3), 2, from_image=True)
    widths = [
        layer.filters
        for layer in layers_of(configured_generator(config(image_size="64"), seed=0), keras.layers.Conv2DTranspose)
    ]
    assert widths == [32, 16, 8, 1]


def test_mlp_pair():
    chosen = make_config({"preset": "gan", "image_size": "28", "channels": "1"})
    generator, discriminator = configured_generator(chosen, seed=0), configured_discriminator(chosen, seed=0)
    assert [layer.units for layer in layers_of(generator, keras.layers.Dense)] == [256, 512, 1024, 784]
    assert [layer.units for layer in layers_of(discriminator, keras.layers.Dense)] == [512, 256, 1]
    assert generator(np.zeros((2, 100), "float32")).shape == (2, 28, 28, 1)
    assert not layers_of(generator, keras.layers.BatchNormalization)


def test_hidden_layers_follow_the_dtype_policy_and_ends_stay_float32():
    for network in (
        configured_generator(config(), seed=0, dtype="mixed_bfloat16"),
        configured_discriminator(config(dropout=0.1), seed=0, dtype="mixed_bfloat16"),
    ):
        assert network.get_layer("block_1").compute_dtype == "bfloat16"
        assert network.output.dtype == "float32"
        assert all(variable.dtype == "float32" for variable in network.trainable_variables)


def test_outputs_for_users_of_the_discriminator():
    discriminator = configured_discriminator(config(), seed=0)
    images = np.random.default_rng(0).uniform(-1, 1, (5, 28, 28, 1)).astype("float32")
    outputs = build_outputs(discriminator)(images)
    logits = discriminator(images)[:, 0]
    np.testing.assert_allclose(outputs["logits"], logits)
    np.testing.assert_allclose(outputs["probability"], 1 / (1 + np.exp(-logits.numpy())), rtol=1e-5)
    dense = discriminator.get_layer("logits")
    np.testing.assert_allclose(outputs["features"] @ dense.kernel + dense.bias, logits[:, None], atol=1e-5)


def test_parameters_and_flops_by_hand():
    # 28x28x1, kernel 4, generator 16-8, discriminator 4-8, z of 100.
    generator, discriminator = (
        configured_generator(config(blocks=2), seed=0),
        configured_discriminator(config(blocks=2), seed=0),
    )
    project, block, image = 100 * 7 * 7 * 16, 16 * 16 * 8, 16 * 8 * 1
    assert generator.count_params() == project + 4 * 16 + block + 4 * 8 + image + 1
    assert costs.count_flops(generator) == 2 * (project + 7 * 7 * block + 14 * 14 * image)
    first, second, logits = 16 * 1 * 4, 16 * 4 * 8, 7 * 7 * 8
    assert discriminator.count_params() == first + 4 + second + 4 * 8 + logits + 1
    assert costs.count_flops(discriminator) == 2 * (14 * 14 * first + 7 * 7 * second + logits)
    # Kernels of 3 over repeated pixels are computed as transposed kernels of 4.
    resizing = configured_generator(config(blocks=2, upsampling="nearest", kernel_size=3), seed=0)
    assert costs.count_flops(resizing) == costs.count_flops(generator)
    one, g = costs.count_flops(discriminator), costs.count_flops(generator)
    # Nobody needs the gradient of z, nor that of the images in the discriminator's update on real and on fake ones.
    own_g, own_d = 3 * g - 2 * project, 2 * (3 * one - 2 * 14 * 14 * first)
    assert costs.step_flops(generator, discriminator, config()) == 64 * (own_g + own_d + 2 * one)
    several = config(discriminator_steps=5, discriminator_norm="none", penalty="r1", penalty_every=2)
    assert costs.step_flops(generator, discriminator, several) == 64 * (own_g + 4 * g + 5 * (own_d + 3 * one) + 2 * one)
    # Both kinds of images are penalized, and G's loss looks at the real ones, too.
    pairs = {"discriminator_norm": "none", "penalty": "r1_r2", "loss": "relativistic_pairing"}
    assert costs.step_flops(generator, discriminator, config(**pairs)) == 64 * (own_g + own_d + (12 + 3) * one)
    lazy = config(**pairs, penalty_every=4)
    assert costs.step_flops(generator, discriminator, lazy) == 64 * (own_g + own_d + (3 + 3) * one)
    unrolled = config(unroll_steps=2)
    assert costs.step_flops(generator, discriminator, unrolled) == 64 * (own_g + own_d + (2 + 6 + 2 * 18) * one)
    assert costs.step_flops(generator, discriminator, config(pack=2)) == 64 * (own_g + (own_d + 2 * one) / 2)
    plain, unrolled = (costs.estimate_memory(generator, discriminator, config(unroll_steps=k)) for k in (0, 5))
    r1, r1_r2 = (
        costs.estimate_memory(generator, discriminator, config(penalty=name, discriminator_norm="none"))
        for name in ("r1", "r1_r2")
    )
    assert r1_r2 - r1 == r1 - plain == 4 * 64 * 2 * costs.count_activations(discriminator)
    assert unrolled - plain == 4 * 64 * (2 + 4 * 5) * costs.count_activations(discriminator)
    # By hand, of 7x7x16, 14x14x8 and 28x28x1 in the generator: weights and moments, then a step or an evaluation.
    held = costs.FRAMEWORK_BYTES + 4 * (5 * generator.count_params() + 4 * discriminator.count_params())
    step = 64 * (100 + 4 * 7 * 7 * 16 + 3 * 14 * 14 * 8 + 2 * 28 * 28 + 2 * costs.count_activations(discriminator))
    assert plain == held + 4 * step
    few, many = (costs.estimate_memory(generator, discriminator, config(), images) for images in (250, 1000))
    assert (few, many) == (max(plain, held + 4 * 4 * 250 * 14 * 14 * 8), held + 4 * 4 * 1000 * 14 * 14 * 8)


def test_tutorial_preset_has_the_layers_of_the_tutorial():
    chosen = dataclasses.replace(make_config({"preset": "tutorial"}), channels="1")
    generator, discriminator = configured_generator(chosen, seed=0), configured_discriminator(chosen, seed=0)
    shapes = [layer.output.shape[1:] for layer in generator.layers if layer.weights and "norm" not in layer.name]
    assert shapes == [(7 * 7 * 256,), (7, 7, 128), (14, 14, 64), (28, 28, 1)]
    assert [layer.output.shape[1:] for layer in discriminator.layers if layer.weights] == [
        (14, 14, 64),
        (7, 7, 128),
        (1,),
    ]
    # The tutorial prints 2,330,944 for its generator. Its first BatchNorm has four weights for each of the 7x7x256
    # numbers, and ours for each of the 256 channels; and our last layer has a bias.
    assert generator.count_params() == 2_330_944 - 4 * (7 * 7 * 256 - 256) + 1
    assert discriminator.count_params() == 212_865


def test_at_first_a_conditional_generator_follows_z_more_than_the_class():
    chosen = dataclasses.replace(config(), conditional=True, class_names=("a", "b", "c"))
    generator = configured_generator(chosen, seed=0)
    z = np.random.default_rng(0).normal(size=(30, 100)).astype("float32")
    by_class = [generator([z, np.full(30, label)], training=True).numpy() for label in range(3)]
    between_classes = np.abs(by_class[0] - by_class[1]).mean()
    between_latents = np.abs(by_class[0][:-1] - by_class[0][1:]).mean()
    assert 0 < between_classes < 0.3 * between_latents
