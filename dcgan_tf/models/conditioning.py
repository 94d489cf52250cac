"""Class conditioning: how a network receives the class of an image."""

from typing import Any

import keras

from dcgan_tf.models.layers import LayerFactory

EMBEDDING_LENGTH = 50
# Small compared with z, whose numbers have a standard deviation of 1. With 1 here as well, the generator on MNIST
# learned to look only at the class and made one image per class: after 600 steps, the images of a class differed from
# each other 0.23 times as much as real ones do. With 0.1, it was 0.90 times.
EMBEDDING_STDDEV = 0.1


def label_input() -> keras.KerasTensor:
    """The second input of a conditional network: int64 [N], starting at 0."""
    return keras.Input((), dtype="int64", name="label")


def append_embedding(
    z: keras.KerasTensor, label: keras.KerasTensor, label_count: int, layers: LayerFactory
) -> keras.KerasTensor:
    """Appends a learned vector of the class to z."""
    # A matrix product with one-hot rows instead of a look-up: its gradient is dense, so every optimizer, norm and
    # reduction over devices treats it like that of any other weight.
    embedding = layers.dense(
        EMBEDDING_LENGTH, use_bias=False, stddev=EMBEDDING_STDDEV, dtype="float32", name="label_embedding"
    )
    return keras.layers.Concatenate(name="z_and_label")([z, embedding(keras.ops.one_hot(label, label_count))])


def judge(image: keras.KerasTensor, features: keras.KerasTensor, class_count: int, layers: LayerFactory) -> keras.Model:
    """Completes the discriminator: a linear layer from features to a logit, plus the class projection, if any."""
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
    """The input of a network: ``[x, labels]`` if it is conditional, else (``labels`` is None) only x."""
    return x if labels is None else [x, keras.ops.convert_to_tensor(labels)]
