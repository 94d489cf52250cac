"""The generator: from latents z to images in [-1, 1]."""

import math
from collections.abc import Sequence

import keras

from dcgan_tf.config import plan
from dcgan_tf.models.conditioning import append_embedding, label_input
from dcgan_tf.models.layers import LayerFactory, block_filters


def build_generator(
    height: int,
    width: int,
    channels: int,
    *,
    latent_dim: int = 100,
    filters: int | Sequence[int] = 64,
    blocks: int = 0,
    kernel_size: int = 4,
    upsampling: str = "transposed",
    extra_layer: str = "none",
    activation: str = "relu",
    leaky_slope: float = 0.2,
    batchnorm_momentum: float = 0.9,
    class_count: int = 0,
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds the generator of Radford et al. 2015 (arXiv 1511.06434).

    A linear layer turns z into a small feature map, and each block doubles its height and width. BatchNorm and an
    activation follow every layer except the last, which ends in tanh.

    Args:
        height, width, channels: Size of the images in pixels, from 16 to 256, and their number of channels.
        latent_dim: Length of z.
        filters: Filters of the last hidden layer, doubled for each layer toward z; or one number per hidden layer, from
            z to the image.
        blocks: Number of times the size is doubled; 0: as many as leave the first feature map at least 4 pixels
            on its short side.
        kernel_size: Side of the kernels in pixels.
        upsampling: ``transposed`` (a transposed convolution); or ``nearest``, ``bilinear`` or ``bicubic`` (resizing,
            then a convolution).
        extra_layer: One more hidden layer of stride 1: ``base`` after the first feature map, ``image`` before the last
            layer, or ``none``.
        activation: ``relu`` or ``leaky_relu``.
        leaky_slope: Slope of LeakyReLU below zero.
        batchnorm_momentum: Momentum of BatchNorm's moving statistics.
        class_count: Classes of a conditional generator; 0: unconditional.
        seed: Seed of the initial weights, drawn from N(0, 0.02).
        dtype: Keras dtype policy of the hidden layers.

    Returns:
        A functional model: float32 [N, latent_dim] -> float32 [N, height, width, channels] in [-1, 1]; a conditional
        one takes [z, labels int64 [N]].

    Raises:
        ValueError: The size cannot be built, or the filters do not fit it.
    """
    layers = LayerFactory(
        seed,
        dtype,
        kernel_size=kernel_size,
        upsampling=upsampling,
        activation=activation,
        leaky_slope=leaky_slope,
        batchnorm_momentum=batchnorm_momentum,
    )
    sizes = plan.plan_blocks(height, width, blocks)
    widths = block_filters("generator_filters", filters, sizes.blocks + (extra_layer != "none"), from_image=False)
    z = keras.Input((latent_dim,), name="z")
    label = label_input() if class_count else None
    code = z if label is None else append_embedding(z, label, class_count, layers)
    # BatchNorm has a bias of its own, so the layer before it needs none.
    x = layers.dense(math.prod(sizes.base) * widths[0], use_bias=False, name="project")(code)
    x = keras.layers.Reshape((*sizes.base, widths[0]), name="reshape")(x)
    x = layers.activate(layers.batch_norm("project_norm")(x), "project")
    doublings = [True] * sizes.blocks
    if extra_layer != "none":
        doublings.insert(0 if extra_layer == "base" else sizes.blocks, False)
    targets = iter(sizes.sizes[1:])
    for number, (width_of_layer, doubles) in enumerate(zip(widths[1:], doublings, strict=False), start=1):
        name = f"block_{number}"
        x = layers.upsample(x, width_of_layer, next(targets) if doubles else None, use_bias=False, name=name)
        x = layers.activate(layers.batch_norm(f"{name}_norm")(x), name)
    # No BatchNorm here: it would force the same mean and standard deviation on every batch of images.
    target = next(targets) if doublings[-1] else None
    x = layers.upsample(x, channels, target, use_bias=True, dtype="float32", name="to_image")
    image = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model(z if label is None else [z, label], image, name="generator")
