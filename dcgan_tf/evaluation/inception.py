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
from dcgan_tf.evaluation.fid_inception import build_fid_inception
from dcgan_tf.evaluation.torch_weights import read_tensors

SIDE = 299
FEATURES = 2048
# Tensor names in the 2015 frozen graph, classify_image_graph_def.pb: the images before resizing, and the last pooling.
GRAPH_IMAGES = "ExpandDims:0"
GRAPH_FEATURES = "pool_3:0"
DEFAULT_RESIZERS = {".pb": "tensorflow", ".pth": "pytorch", ".h5": "clean"}
RESIZERS_OF_FILES = {".pb": ("tensorflow", "clean"), ".pth": ("pytorch", "tensorflow", "clean"), ".h5": ("clean",)}
# The suffix of the network's name for each resizer, because distances with different resizers are not comparable.
NAMES = {"tensorflow": "", "pytorch": "-pytorch", "clean": "-clean"}
# The beginning of the sha256 of pytorch-fid's file, which its name contains, too. Later weights have the same shapes.
DIGEST_OF_2015 = "6726825d"
DESCRIPTIONS = {
    "tensorflow": f"bilinear to {SIDE}x{SIDE}, by the graph",
    "pytorch": f"bilinear to {SIDE}x{SIDE}, centers aligned, as pytorch-fid",
    "clean": f"bicubic with antialiasing to {SIDE}x{SIDE}, as clean-fid",
}


def load_inception(path: str, resizer: str = "") -> FeatureNetwork:
    """Loads Inception v3 from a file.

    A ``.pb`` file is the 2015 frozen graph (``classify_image_graph_def.pb`` from ``inception-2015-12-05.tgz``). Its
    Frechet distance is the FID of Heusel et al. 2017. A ``.pth`` file holds the same weights as pytorch-fid and
    torch-fidelity store them (``pt_inception-2015-12-05-6726825d.pth``). An ``.h5`` file holds Keras's ImageNet weights
    without the top layer, which give a similar distance, but not FID.

    Args:
        path: Path of the file.
        resizer: How images are brought to 299x299 pixels. ``tensorflow``: bilinearly without antialiasing, as the graph
            of 2015 and torch-fidelity do. ``pytorch``: the same with the centers of pixels aligned, as pytorch-fid
            does. ``clean``: bicubically with antialiasing, as clean-fid does. Empty: ``tensorflow`` for a .pb file,
            ``pytorch`` for .pth, ``clean`` for .h5.

    Raises:
        UserError: There is no such file, its contents are something else, or it does not take the resizer.
    """
    file = pathlib.Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"`inception_weights`: expected a file. Received: '{path}'")
    if file.suffix not in DEFAULT_RESIZERS:
        raise UserError(
            "`inception_weights`: expected the 2015 weights (the frozen graph, .pb, or pytorch-fid's file, .pth), or "
            f"Keras's weights without the top layer (.h5). Received: '{path}'"
        )
    resizer = resizer or DEFAULT_RESIZERS[file.suffix]
    if resizer not in RESIZERS_OF_FILES[file.suffix]:
        expected = " or ".join(RESIZERS_OF_FILES[file.suffix])
        raise UserError(f"`inception_resizer={resizer}`: expected {expected} for a {file.suffix} file")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    progress.logger.info(f"Inception weights '{file}', sha256 {digest}")
    if file.suffix == ".h5":
        return FeatureNetwork(
            "inception-keras",
            digest[:12],
            f"bicubic with antialiasing to {SIDE}x{SIDE}",
            f"Keras's ImageNet weights, sha256 {digest}; not the network of FID",
            _keras_network(file),
        )
    if file.suffix == ".pb":
        function, features = _frozen_graph(content, file, resizer)
        name = "inception-2015" if features == FEATURES else f"graph-{digest[:8]}"
        description = f"frozen graph, sha256 {digest}"
    elif digest.startswith(DIGEST_OF_2015):
        function, name = _pytorch_file(file, resizer), "inception-2015"
        description = f"pytorch-fid's file of the 2015 weights, sha256 {digest}"
    else:
        function, name = _pytorch_file(file, resizer), f"inception-{digest[:8]}"
        description = f"not pytorch-fid's file of the 2015 weights, sha256 {digest}"
        progress.logger.warning(
            "'%s' is not pytorch-fid's file of the 2015 weights, so the Frechet distance is not called FID.", file
        )
    return FeatureNetwork(f"{name}{NAMES[resizer]}", digest[:12], DESCRIPTIONS[resizer], description, function)


def resize(images: tf.Tensor, resizer: str) -> tf.Tensor:
    """Brings images float32 [N, height, width, 3] from 0 to 255 to 299x299 pixels; see `load_inception`."""
    if resizer == "tensorflow":
        return tf.raw_ops.ResizeBilinear(images=images, size=[SIDE, SIDE])
    if resizer == "pytorch":
        return tf.image.resize(images, [SIDE, SIDE], method="bilinear", antialias=False)
    return tf.clip_by_value(tf.image.resize(images, [SIDE, SIDE], method="bicubic", antialias=True), 0.0, 255.0)


def _pytorch_file(file: pathlib.Path, resizer: str) -> Callable:
    try:
        network = build_fid_inception(read_tensors(file))
    except UserError as error:
        raise UserError(f"`inception_weights`: {error}") from None

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)], autograph=False)
    def function(images: tf.Tensor) -> tf.Tensor:
        resized = resize(_three_channels(tf.cast(images, tf.float32)), resizer)
        # pytorch-fid maps 255 to 1. The other resizers scale like the 2015 graph.
        scaled = resized / 127.5 - 1.0 if resizer == "pytorch" else (resized - 128.0) / 128.0
        return network(tf.ensure_shape(scaled, [None, SIDE, SIDE, 3]))

    try:
        function.get_concrete_function()
    except ValueError as error:
        raise UserError(
            f"`inception_weights`: the tensors in '{file}' do not have the shapes of Inception v3: "
            f"{str(error).strip().splitlines()[0][:200]}"
        ) from None
    return lambda images: (function(images), None)


def _frozen_graph(content: bytes, file: pathlib.Path, resizer: str) -> tuple[Callable, int]:
    try:
        graph = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError as error:
        raise UserError(f"`inception_weights`: '{file}' is not a frozen graph ({error})") from None

    def run(images: tf.Tensor) -> tf.Tensor:
        floats = _three_channels(tf.cast(images, tf.float32))
        if resizer != "tensorflow":
            floats = resize(floats, resizer)  # The graph leaves images of its own size as they are.
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

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)])
    def function(images: tf.Tensor) -> tuple[tf.Tensor, None]:
        floats = tf.ensure_shape(_three_channels(tf.cast(images, tf.float32)), [None, None, None, 3])
        resized = tf.image.resize(floats, [SIDE, SIDE], method="bicubic", antialias=True)
        return network(tf.clip_by_value(resized, 0.0, 255.0) / 127.5 - 1.0, training=False), None

    return function


def _three_channels(images: tf.Tensor) -> tf.Tensor:
    """Replicates gray images to three channels, as papers do for MNIST, and puts transparent ones on white."""
    channels = tf.shape(images)[-1]

    def on_white() -> tf.Tensor:
        return 255.0 + (images[..., :3] - 255.0) * images[..., 3:] / 255.0

    return tf.cond(
        channels == 1,
        lambda: tf.tile(images, [1, 1, 1, 3]),
        lambda: tf.cond(channels == 4, on_white, lambda: images),
    )
