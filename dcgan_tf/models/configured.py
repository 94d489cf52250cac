"""The networks that a `Config` describes."""

from typing import Any

import keras

from dcgan_tf.config.settings import Config, parse_filters
from dcgan_tf.models.discriminator import build_discriminator
from dcgan_tf.models.generator import build_generator
from dcgan_tf.models.mlp import build_mlp_discriminator, build_mlp_generator
from dcgan_tf.models.weights import freeze_blocks


def configured_generator(config: Config, *, seed: int, dtype: str = "float32") -> keras.Model:
    """Builds the generator of a run.

    Args:
        config: A complete configuration, without ``auto``.
        seed: Seed of the initial weights.
        dtype: Keras dtype policy of the hidden layers.

    Raises:
        UserError: The filters do not fit the image size.
    """
    filters = parse_filters("generator_filters", config.generator_filters)
    shared: dict[str, Any] = {
        "latent_dim": config.latent_dim,
        "activation": config.generator_activation,
        "leaky_slope": config.leaky_slope,
        "class_count": config.label_count,
        "seed": seed,
        "dtype": dtype,
    }
    if config.architecture == "mlp":
        return build_mlp_generator(config.sample_shape, units=filters, **shared)
    return build_generator(
        *config.sample_shape,
        filters=filters,
        blocks=config.blocks,
        kernel_size=config.kernel_size,
        upsampling=config.upsampling,
        extra_layer=config.generator_extra_layer,
        batchnorm_momentum=config.batchnorm_momentum,
        **shared,
    )


def configured_discriminator(config: Config, *, seed: int, dtype: str = "float32") -> keras.Model:
    """Builds the discriminator of a run, with its first blocks frozen if the run asks for it.

    Arguments and errors are those of `configured_generator`.
    """
    filters = parse_filters("discriminator_filters", config.discriminator_filters)
    shared: dict[str, Any] = {
        "spectral_norm": config.spectral_norm,
        "leaky_slope": config.leaky_slope,
        "dropout": config.dropout,
        "dropout_rows": config.batch_size // config.pack,
        "pack": config.pack,
        "is_unrolled": config.unroll_steps > 0,
        "class_count": config.label_count,
        "seed": seed,
        "dtype": dtype,
    }
    if config.architecture == "mlp":
        discriminator = build_mlp_discriminator(config.sample_shape, units=filters, **shared)
    else:
        discriminator = build_discriminator(
            *config.sample_shape,
            filters=filters,
            blocks=config.blocks,
            kernel_size=config.kernel_size,
            norm=config.discriminator_norm,
            batchnorm_momentum=config.batchnorm_momentum,
            minibatch_stddev=config.minibatch_stddev,
            head=config.discriminator_head,
            **shared,
        )
    freeze_blocks(discriminator, config.freeze_discriminator)
    return discriminator
