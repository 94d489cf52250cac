"""z -> image in [-1, 1]."""

import math

import keras

from dcgan_tf.config import plan
from dcgan_tf.config.settings import Config, parse_filters
from dcgan_tf.models.conditioning import append_embedding, label_input
from dcgan_tf.models.layers import LayerFactory, block_filters


def build_generator(config: Config, *, seed: int, dtype: str = "float32") -> keras.Model:
    """Builds the generator of Radford et al. 2015 (arXiv 1511.06434), or the fully connected one it replaced.

    A linear layer turns z into a small feature map, and each block doubles it. BatchNorm and ReLU follow every
    layer but the last, whose tanh makes the image.

    Args:
        config: image size, channels, widths and choices.
        seed: of the initial weights.
        dtype: Keras dtype policy of the hidden layers.

    Returns:
        A functional model: float32 [N, latent_dim] -> float32 [N, height, width, channels] in [-1, 1]; of a
        conditional run, [z, labels int64 [N]] -> images.

    Raises:
        UserError: the list of filters does not fit the image size.
    """
    layers = LayerFactory(config, seed, dtype)
    z = keras.Input((config.latent_dim,), name="z")
    build = _build_convolutional if config.architecture == "dcgan" else _build_fully_connected
    if not config.label_count:
        return keras.Model(z, build(config, layers, z), name="generator")
    label = label_input()
    code = append_embedding(z, label, config.label_count, layers)
    return keras.Model([z, label], build(config, layers, code), name="generator")


def _build_convolutional(config: Config, layers: LayerFactory, z: keras.KerasTensor) -> keras.KerasTensor:
    blocks = plan.plan_blocks(*config.height_and_width, config.blocks)
    extra = config.generator_extra_layer
    filters = block_filters("generator_filters", config.generator_filters, blocks.blocks + (extra != "none"))
    # BatchNorm has a bias of its own, so the layer before it needs none.
    x = layers.dense(math.prod(blocks.base) * filters[0], use_bias=False, name="project")(z)
    x = keras.layers.Reshape((*blocks.base, filters[0]), name="reshape")(x)
    x = layers.activate_generator(layers.batch_norm("project_norm")(x), "project")
    doublings = [True] * blocks.blocks
    if extra != "none":
        doublings.insert(0 if extra == "base" else blocks.blocks, False)
    sizes = iter(blocks.sizes[1:])
    for number, (width, doubles) in enumerate(zip(filters[1:], doublings, strict=False), start=1):
        name = f"block_{number}"
        x = layers.upsample(x, width, next(sizes) if doubles else None, use_bias=False, name=name)
        x = layers.activate_generator(layers.batch_norm(f"{name}_norm")(x), name)
    # No BatchNorm here: it would force the same mean and deviation on every batch of images.
    size = next(sizes) if doublings[-1] else None
    x = layers.upsample(x, int(config.channels), size, use_bias=True, dtype="float32", name="to_image")
    return keras.layers.Activation("tanh", dtype="float32", name="image")(x)


def _build_fully_connected(config: Config, layers: LayerFactory, z: keras.KerasTensor) -> keras.KerasTensor:
    x = z
    for number, units in enumerate(parse_filters("generator_filters", config.generator_filters), start=1):
        x = layers.dense(units, name=f"hidden_{number}")(x)
        x = layers.activate_generator(x, f"hidden_{number}")
    x = layers.dense(math.prod(config.sample_shape), dtype="float32", name="to_image")(x)
    if config.draws_points:  # Points may lie anywhere.
        return x
    x = keras.layers.Activation("tanh", dtype="float32", name="tanh")(x)
    return keras.layers.Reshape(config.sample_shape, dtype="float32", name="image")(x)
