"""How a network is told the class of an image."""

from typing import Any

import keras

from dcgan_tf.models.layers import LayerFactory

EMBEDDING_LENGTH = 50
# Small beside z, whose numbers have the deviation 1. On MNIST, with 1 here, too, the generator learned to look
# at the class alone and made one image for each: after 600 steps the images of a class differed from each other 0.23
# times as much as real ones do; with 0.1, it was 0.90 times.
EMBEDDING_STDDEV = 0.1


def label_input() -> keras.KerasTensor:
    """The second input of a conditional network: int64 [N], from 0 on."""
    return keras.Input((), dtype="int64", name="label")


def append_embedding(
    z: keras.KerasTensor, label: keras.KerasTensor, label_count: int, layers: LayerFactory
) -> keras.KerasTensor:
    """z with a learned vector for each class behind it."""
    # A matrix product with one-hot rows in place of a look-up: its gradient is dense, so every optimizer, norm and
    # reduction over devices treats it as any other weight's.
    embedding = layers.dense(
        EMBEDDING_LENGTH, use_bias=False, stddev=EMBEDDING_STDDEV, dtype="float32", name="label_embedding"
    )
    return keras.layers.Concatenate(name="z_and_label")([z, embedding(keras.ops.one_hot(label, label_count))])


def judge(image: keras.KerasTensor, features: keras.KerasTensor, class_count: int, layers: LayerFactory) -> keras.Model:
    """Makes the discriminator: a linear layer from features to a logit, and the projection of a class, if any."""
    logits = layers.dense(1, dtype="float32", name="logits")(features)
    if not class_count:
        return keras.Model(image, logits, name="discriminator")
    label = label_input()
    logits = _add_projection(logits, features, label, class_count, layers)
    return keras.Model([image, label], logits, name="discriminator")


def _add_projection(
    logits: keras.KerasTensor,
    features: keras.KerasTensor,
    label: keras.KerasTensor,
    label_count: int,
    layers: LayerFactory,
) -> keras.KerasTensor:
    """Adds <embedding of the class, features> to the logits (Miyato and Koyama 2018, arXiv 1802.05637)."""
    embedding = layers.dense(features.shape[-1], use_bias=False, dtype="float32", name="label_projection")
    features = keras.layers.Activation("linear", dtype="float32", name="features_float32")(features)
    projection = keras.layers.Dot(axes=1, dtype="float32", name="projection")(
        [embedding(keras.ops.one_hot(label, label_count)), features]
    )
    return keras.layers.Add(dtype="float32", name="conditional_logits")([logits, projection])


def with_labels(x: Any, labels: Any) -> Any:
    """What a network is called with: ``[x, labels]`` for a conditional one, else x alone (labels None)."""
    return x if labels is None else [x, keras.ops.convert_to_tensor(labels)]
