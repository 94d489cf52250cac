"""Inception v3 as a feature network, from a local weights file. Nothing is downloaded."""

import hashlib
import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf
from google.protobuf.message import DecodeError

from dcgan_tf import progress
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.features import FeatureNetwork

SIDE = 299
FEATURES = 2048
# Tensor names in the 2015 frozen graph, classify_image_graph_def.pb: the images before resizing, and the last pooling.
GRAPH_IMAGES = "ExpandDims:0"
GRAPH_FEATURES = "pool_3:0"


def load_inception(path: str, resizer: str = "") -> FeatureNetwork:
    """Loads Inception v3 from a file.

    A ``.pb`` file is the 2015 frozen graph (``classify_image_graph_def.pb`` from ``inception-2015-12-05.tgz``). Its
    Frechet distance is the FID of Heusel et al. 2017. The graph itself resizes the images, bilinearly without
    antialiasing. An ``.h5`` file holds Keras's ImageNet weights without the top layer, which give a similar distance,
    but not FID.

    Args:
        path: Path of the file.

    Raises:
        UserError: There is no such file, or its contents are something else.
    """
    file = pathlib.Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"`inception_weights`: expected a file. Received: '{path}'")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    progress.logger.info(f"Inception weights '{file}', sha256 {digest}")
    if file.suffix == ".pb":
        function, features = _frozen_graph(content, file)
        name = "inception-2015" if features == FEATURES else f"graph-{digest[:8]}"
        description = f"frozen graph, sha256 {digest}"
        return FeatureNetwork(name, digest[:12], f"bilinear to {SIDE}x{SIDE}, by the graph", description, function)
    if file.suffix == ".h5":
        return FeatureNetwork(
            "inception-keras",
            digest[:12],
            f"bicubic with antialiasing to {SIDE}x{SIDE}",
            f"Keras's ImageNet weights, sha256 {digest}; not the network of FID",
            _keras_network(file),
        )
    raise UserError(
        f"`inception_weights`: expected the 2015 frozen graph (.pb) or Keras's weights without top (.h5). Received: "
        f"'{path}'. PyTorch files (.pt, .pth) are not loaded, because they can contain programs"
    )


def _frozen_graph(content: bytes, file: pathlib.Path) -> tuple[Callable, int]:
    try:
        graph = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError as error:
        raise UserError(f"`inception_weights`: '{file}' is not a frozen graph ({error})") from None

    def run(images: tf.Tensor) -> tf.Tensor:
        floats = _three_channels(tf.cast(images, tf.float32))
        (features,) = tf.compat.v1.import_graph_def(
            graph, input_map={GRAPH_IMAGES: floats}, return_elements=[GRAPH_FEATURES], name=""
        )
        return tf.reshape(features, [tf.shape(images)[0], features.shape[-1]])

    try:
        wrapped = tf.compat.v1.wrap_function(run, [tf.TensorSpec([None, None, None, None], tf.uint8)])
    except (ValueError, KeyError, tf.errors.OpError) as error:
        raise UserError(
            f"`inception_weights`: '{file}' is not the 2015 graph, which has {GRAPH_IMAGES} and {GRAPH_FEATURES}: "
            f"{str(error).splitlines()[0][:200]}"
        ) from None
    return lambda images: (wrapped(images), None), wrapped.outputs[0].shape[-1]


def _keras_network(file: pathlib.Path) -> Callable:
    network = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    try:
        network.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"`inception_weights`: '{file}' does not hold the weights of Keras's InceptionV3 without its top layer: "
            f"{str(error).splitlines()[0][:200]}"
        ) from None

    @tf.function
    def function(images: tf.Tensor) -> tuple[tf.Tensor, None]:
        floats = _three_channels(tf.cast(images, tf.float32))
        resized = tf.image.resize(floats, [SIDE, SIDE], method="bicubic", antialias=True)
        return network(tf.clip_by_value(resized, 0.0, 255.0) / 127.5 - 1.0, training=False), None

    return function


def _three_channels(images: tf.Tensor) -> tf.Tensor:
    """Replicates gray images to three channels, as papers do for MNIST."""
    return tf.cond(tf.shape(images)[-1] == 1, lambda: tf.tile(images, [1, 1, 1, 3]), lambda: images)
