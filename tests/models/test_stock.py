"""`generator.keras`: the same images from Keras's own layers, where this package is unknown."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from dcgan_tf.generation.sampling import decode, seed_latents
from dcgan_tf.models.stock import stock_generator
from tests.small_runs import make_networks

KINDS = {
    "transposed": {"channels": "3", "generator_activation": "leaky_relu", "generator_extra_layer": "image"},
    "conditional": {"conditional": True, "class_names": tuple("0123456789")},
    "resizing": {"image_size": "28x18", "upsampling": "bicubic", "generator_extra_layer": "base"},
    "nearest": {"image_size": "28", "channels": "3", "upsampling": "nearest", "kernel_size": 3},
    "mlp": {
        "architecture": "mlp",
        "generator_filters": "16,32",
        "conditional": True,
        "class_names": tuple("0123456789"),
    },
    "points": {"dataset": "ring", "architecture": "mlp", "image_size": "auto", "channels": "auto"},
}
ROWS = 9


def saved_pair(kind, folder):
    """A generator, and the file of its stock copy."""
    generator = make_networks(**KINDS[kind]).generator
    stock_generator(generator).save(folder / f"{kind}.keras")
    return generator, folder / f"{kind}.keras"


def inputs_of(generator):
    z = seed_latents(range(ROWS), generator.inputs[0].shape[1])
    return z, np.arange(ROWS) if len(generator.inputs) == 2 else None


def assert_same(images, expected):
    assert expected.std(0).mean() > (0.1 if expected.dtype == np.float32 else 10)  # Otherwise anything would agree.
    difference = np.abs(images.astype(float) - expected.astype(float)).max()
    assert difference <= (1e-4 if expected.dtype == np.float32 else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_the_same_and_the_file_names_keras_alone(kind, tmp_path):
    generator, path = saved_pair(kind, tmp_path)
    z, labels = inputs_of(generator)
    assert_same(decode(keras.models.load_model(path), z, labels), decode(generator, z, labels))
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    assert "dcgan_tf" not in config
    assert {layer["module"].split(".")[0] for layer in json.loads(config)["config"]["layers"]} == {"keras"}


def test_statistics_of_several_replicas_become_those_of_one(monkeypatch):
    monkeypatch.setattr("dcgan_tf.distributed.replicas.count", lambda: 2)
    generator = make_networks().generator
    norms = [layer for layer in stock_generator(generator).layers if "norm" in layer.name]
    assert norms
    assert not any(layer.synchronized for layer in norms)
    assert all(layer.synchronized for layer in generator.layers if "norm" in layer.name)


FOREIGN = """
import pathlib, sys
sys.modules["dcgan_tf"] = None
import keras
import numpy as np
for path in pathlib.Path(sys.argv[1]).glob("*.keras"):
    inputs = [array for array in np.load(path.with_suffix(".npz")).values()]
    np.save(path.with_suffix(".npy"), keras.models.load_model(path)(inputs if len(inputs) > 1 else inputs[0]))
"""


@pytest.mark.long
def test_keras_loads_every_kind_where_this_package_is_unknown(tmp_path):
    expected = {}
    for kind in KINDS:
        generator, path = saved_pair(kind, tmp_path)
        inputs = [array for array in inputs_of(generator) if array is not None]
        np.savez(path.with_suffix(".npz"), *inputs)
        expected[kind] = generator(inputs if len(inputs) > 1 else inputs[0], training=False).numpy()
    subprocess.run([sys.executable, "-c", FOREIGN, tmp_path], cwd=tmp_path, check=True, timeout=240)
    for kind, images in expected.items():
        scale = 1 if kind == "points" else 127.5
        assert np.abs(np.load(tmp_path / f"{kind}.npy") - images).max() * scale <= (1e-4 if kind == "points" else 1)
