"""Image in [-1, 1] -> one logit: above zero for real, below for fake."""

import keras

from dcgan_tf.config import plan
from dcgan_tf.config.settings import Config, parse_filters
from dcgan_tf.models.conditioning import add_projection, label_input
from dcgan_tf.models.layers import LayerFactory, block_filters
from dcgan_tf.models.minibatch import MinibatchStddev


def build_discriminator(config: Config, *, seed: int, dtype: str = "float32") -> keras.Model:
    """Builds the discriminator of Radford et al. 2015 (arXiv 1511.06434), or the fully connected one it replaced.

    Convolutions of stride 2 with LeakyReLU, BatchNorm after all but the first, and no hidden fully connected layer.
    With ``pack``, it judges several images at once, one behind the other in the channels (PacGAN, arXiv 1712.04086).

    Args:
        config: image size, channels, widths and choices.
        seed: of the initial weights.
        dtype: Keras dtype policy of the hidden layers.

    Returns:
        A functional model: float32 [N, height, width, channels] in [-1, 1] -> logits float32 [N, 1]; of a
        conditional run, [images, labels int64 [N]] -> logits.

    Raises:
        UserError: the list of filters does not fit the image size.
    """
    layers = LayerFactory(config, seed, dtype, spectral=config.spectral_norm)
    *sides, channels = config.sample_shape
    image = keras.Input((*sides, config.pack * channels), name="image")
    build = _build_convolutional if config.architecture == "dcgan" else _build_fully_connected
    features = build(config, layers, image)
    logits = layers.dense(1, dtype="float32", name="logits")(features)
    if not config.label_count:
        return keras.Model(image, logits, name="discriminator")
    label = label_input()
    logits = add_projection(logits, features, label, config.label_count, layers)
    return keras.Model([image, label], logits, name="discriminator")


def build_outputs(discriminator: keras.Model) -> keras.Model:
    """What users of a trained discriminator ask for, of which training needs the logits alone.

    Args:
        discriminator: as `build_discriminator` makes it. Its weights are shared, not copied.

    Returns:
        A functional model: image -> {"logits": [N], "probability": [N], sigmoid(logits), of being
        real where the loss is cross-entropy,
        "features": [N, F], the input of the last layer}, all float32.
    """
    logits = keras.layers.Reshape((), name="logit")(discriminator.output)
    features = keras.layers.Activation("linear", dtype="float32")(discriminator.get_layer("logits").input)
    outputs = {"logits": logits, "probability": keras.ops.sigmoid(logits), "features": features}
    return keras.Model(discriminator.input, outputs, name="discriminator_outputs")


def _build_convolutional(config: Config, layers: LayerFactory, image: keras.KerasTensor) -> keras.KerasTensor:
    blocks = plan.plan_blocks(*config.height_and_width, config.blocks)
    x = image
    for number, filters in enumerate(
        block_filters("discriminator_filters", config.discriminator_filters, blocks.blocks), start=1
    ):
        is_first = number == 1
        is_normalized = not is_first and config.discriminator_norm != "none"
        x = layers.downsample(filters, use_bias=not is_normalized, name=f"block_{number}")(x)
        if is_normalized:  # The first must see the images' own mean and contrast: fakes may differ in just that.
            x = layers.normalize(x, f"block_{number}_norm")
        x = layers.leaky_relu(f"block_{number}_leaky_relu")(x)
        x = layers.dropout(x, f"block_{number}_dropout")
    if config.minibatch_stddev:
        x = MinibatchStddev(config.batchnorm_momentum, dtype="float32", name="minibatch_stddev")(x)
    if config.discriminator_head == "average_pool":
        return keras.layers.GlobalAveragePooling2D(name="average_pool")(x)
    return keras.layers.Flatten(name="flatten")(x)


def _build_fully_connected(config: Config, layers: LayerFactory, image: keras.KerasTensor) -> keras.KerasTensor:
    x = keras.layers.Flatten(name="flatten")(image)
    for number, units in enumerate(parse_filters("discriminator_filters", config.discriminator_filters), start=1):
        x = layers.dense(units, name=f"hidden_{number}")(x)
        x = layers.leaky_relu(f"hidden_{number}_leaky_relu")(x)
        x = layers.dropout(x, f"hidden_{number}_dropout")
    return x
