"""Copies of networks made of Keras's own layers, which Keras loads without this package."""

from typing import Any

import keras

from dcgan_tf.models import bfloat16
from dcgan_tf.models.cropping import Crop
from dcgan_tf.models.normalization import BatchNorm
from dcgan_tf.models.resizing import NearestConv2D
from dcgan_tf.models.transposed import ImageConv2DTranspose

# Layer of this package -> the Keras layer that computes the same after training.
STOCK_LAYERS: dict[type[keras.Layer], type[keras.Layer]] = {
    BatchNorm: keras.layers.BatchNormalization,
    Crop: keras.layers.Cropping2D,
    bfloat16.Conv2D: keras.layers.Conv2D,
    bfloat16.Conv2DTranspose: keras.layers.Conv2DTranspose,
    ImageConv2DTranspose: keras.layers.Conv2DTranspose,
    NearestConv2D: keras.layers.Conv2D,  # After upsampling, which `stock_generator` adds
}


def stock_generator(generator: keras.Model) -> keras.Model:
    """Copies a generator into Keras's own layers.

    Args:
        generator: A float32 model from `build_generator` or `build_mlp_generator`.

    Returns:
        A functional model with the same inputs, outputs and weights, for use after training.
    """
    resized = {layer.name for layer in generator.layers if isinstance(layer, NearestConv2D)}

    def call(layer: keras.Layer, inputs: Any, **options: Any) -> Any:
        if layer.name in resized:
            inputs = keras.layers.UpSampling2D(
                2, interpolation="nearest", data_format="channels_last", name=f"{layer.name}_resize"
            )(inputs)
        return layer(inputs, **options)

    copy = keras.models.clone_model(generator, clone_function=_stock_layer, call_function=call)
    copy.set_weights(generator.get_weights())
    return copy


def _stock_layer(layer: keras.Layer) -> keras.Layer:
    kind = STOCK_LAYERS.get(type(layer), type(layer))
    options = layer.get_config()
    if kind is keras.layers.BatchNormalization:
        options["synchronized"] = False
    return kind.from_config(options)
