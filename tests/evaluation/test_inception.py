import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.inception import load_inception


def write_graph(path, features=5, feature_name="pool_3"):
    """Writes a frozen graph with the names of the 2015 graph; its features are linear in an image's mean color."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3], name="ExpandDims")
        resized = tf.compat.v1.image.resize_bilinear(images, [8, 8])
        mean = tf.reduce_mean(resized, axis=[1, 2], keepdims=True)
        weights = np.arange(3 * features, dtype=np.float32).reshape(3, features)
        tf.reshape(tf.reshape(mean, [-1, 3]) @ weights, [-1, 1, 1, features], name=feature_name)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return weights


def test_frozen_graph_takes_batches_and_gray_images(tmp_path, said):
    path = tmp_path / "graph.pb"
    weights = write_graph(path)
    network = load_inception(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"sha256 {digest}" in said.text
    assert network.name == f"graph-{digest[:8]}"  # Five features, so it is not the graph of FID.
    gray = np.array([10, 200], np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    values, probabilities = network.function(tf.constant(gray))
    np.testing.assert_allclose(values, [np.full(3, 10) @ weights, np.full(3, 200) @ weights])
    assert probabilities is None


def test_graph_of_the_right_size_gives_fid(tmp_path):
    write_graph(tmp_path / "graph.pb", features=2048)
    assert load_inception(str(tmp_path / "graph.pb")).name == "inception-2015"


def test_wrong_files_are_one_line(tmp_path):
    with pytest.raises(UserError, match="`inception_weights`: expected a file"):
        load_inception(str(tmp_path / "missing.pb"))
    (tmp_path / "text.pb").write_text("no graph at all, not even nearly")
    with pytest.raises(UserError, match="is not a frozen graph"):
        load_inception(str(tmp_path / "text.pb"))
    write_graph(tmp_path / "other.pb", feature_name="embedding")
    with pytest.raises(UserError, match="is not the 2015 graph"):
        load_inception(str(tmp_path / "other.pb"))
    (tmp_path / "weights.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match="expected the 2015 weights"):
        load_inception(str(tmp_path / "weights.onnx"))


def test_graph_gets_images_of_its_own_size_from_another_resizer(tmp_path):
    path = tmp_path / "graph.pb"
    write_graph(path, features=2048)
    network = load_inception(str(path), "clean")
    assert (network.name, network.resizer) == (
        "inception-2015-clean",
        "bicubic with antialiasing to 299x299, as clean-fid",
    )
    gray = np.full((1, 4, 4, 1), 10, np.uint8)
    plain = load_inception(str(path)).function(tf.constant(gray))[0]
    np.testing.assert_allclose(network.function(tf.constant(gray))[0], plain, rtol=1e-4)


@pytest.mark.long
def test_keras_weights(tmp_path):
    network = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    path = tmp_path / "inception.weights.h5"
    network.save_weights(path)
    loaded = load_inception(str(path))
    assert loaded.name == "inception-keras"
    values, _ = loaded.function(tf.zeros([1, 32, 32, 3], tf.uint8))
    np.testing.assert_allclose(values, network(tf.fill([1, 299, 299, 3], -1.0), training=False), atol=1e-5)
    path.write_text("not weights")
    with pytest.raises(UserError, match="does not hold the weights"):
        load_inception(str(path))
