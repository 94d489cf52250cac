"""z -> image in [-1, 1]."""

import keras

from dcgan_tf.config import Config, parse_filters
from dcgan_tf.models import plan
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
    code = append_embedding(z, label, config.label_count)
    return keras.Model([z, label], build(config, layers, code), name="generator")


def _build_convolutional(config: Config, layers: LayerFactory, z: keras.KerasTensor) -> keras.KerasTensor:
    blocks = plan.plan_blocks(*config.height_and_width)
    first, *hidden = block_filters("generator_filters", config.generator_filters, blocks.blocks)
    # BatchNorm has a bias of its own, so the layer before it needs none.
    x = layers.dense(blocks.base_height * blocks.base_width * first, use_bias=False, name="project")(z)
    x = keras.layers.Reshape((blocks.base_height, blocks.base_width, first), name="reshape")(x)
    x = layers.batch_norm("project_norm")(x)
    x = keras.layers.ReLU(name="project_relu")(x)
    for number, filters in enumerate(hidden, start=1):
        x = layers.upsample(x, filters, use_bias=False, name=f"block_{number}")
        x = layers.batch_norm(f"block_{number}_norm")(x)
        x = keras.layers.ReLU(name=f"block_{number}_relu")(x)
    # No BatchNorm here: it would force the same mean and deviation on every batch of images.
    x = layers.upsample(x, int(config.channels), use_bias=True, dtype="float32", name="to_image")
    return keras.layers.Activation("tanh", dtype="float32", name="image")(x)


def _build_fully_connected(config: Config, layers: LayerFactory, z: keras.KerasTensor) -> keras.KerasTensor:
    height, width, channels = *config.height_and_width, int(config.channels)
    x = z
    for number, units in enumerate(parse_filters("generator_filters", config.generator_filters), start=1):
        x = layers.dense(units, name=f"hidden_{number}")(x)
        x = keras.layers.ReLU(name=f"hidden_{number}_relu")(x)
    x = layers.dense(height * width * channels, dtype="float32", name="to_image")(x)
    x = keras.layers.Activation("tanh", dtype="float32", name="tanh")(x)
    return keras.layers.Reshape((height, width, channels), dtype="float32", name="image")(x)
