import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.errors import UserError
from dcgan_tf.gan import GAN, to_float
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.sampling import generate, latents_from_seeds
from export.saved_model import export_gan
from tests.export.c_api import Session


def make_gan(config):
    """Networks with contrast and with BatchNorm statistics of their own, as after training."""
    gan = GAN(config)
    for network in (gan.ema_generator, gan.discriminator):
        for number, variable in enumerate(network.variables):
            noise = tf.random.stateless_uniform(variable.shape, [number, 1])
            variable.assign(0.5 + noise if "moving" in variable.path else (noise - 0.5) * 0.6)
    return gan


@pytest.fixture(
    scope="module",
    params=[
        {"image_size": "28"},
        {"image_size": "64", "channels": "3", "mixed_precision": True, "dropout": 0.3},
        {"image_size": "32", "architecture": "mlp", "generator_filters": "16", "discriminator_filters": "16"},
    ],
    ids=str,
)
def exported(request, tmp_path_factory):
    import dataclasses

    from dcgan_tf.config import Config
    from tests.conftest import SMALL

    gan = make_gan(dataclasses.replace(Config(), **{**SMALL, **request.param}))
    path = export_gan(gan, tmp_path_factory.mktemp("saved_model"))
    return gan, path, Session(path)


def test_signatures_have_names_and_a_free_batch(exported):
    gan, _, session = exported
    image = [-1, *gan.config.height_and_width, int(gan.config.channels)]
    described = {
        name: {
            key: (tf.as_dtype(info.dtype).name, [d.size for d in info.tensor_shape.dim])
            for key, info in [*definition.inputs.items(), *definition.outputs.items()]
        }
        for name, definition in session.signatures.items()
    }
    assert described["discriminate"].pop("features")[0] == "float32"
    assert described == {
        "serving_default": {"z": ("float32", [-1, 8]), "images": ("uint8", image)},
        "sample": {"seed": ("int64", [-1]), "images": ("uint8", image), "z": ("float32", [-1, 8])},
        "discriminate": {"images": ("uint8", image), "logits": ("float32", [-1]), "probability": ("float32", [-1])},
    }
    assert session.signatures["serving_default"].method_name == "tensorflow/serving/predict"


def test_pixels_are_the_live_generators(exported):
    gan, _, session = exported
    seeds = np.array([3, 1, 4, 1, 5], np.int64)
    live = generate(gan.ema_generator, seeds)
    assert live.std() > 20  # Otherwise anything would agree.
    z = latents_from_seeds(seeds, 8).numpy()
    from_latents = session.run("serving_default", z=z)["images"]
    from_seeds = session.run("sample", seed=seeds)
    for images in (from_latents, from_seeds["images"]):
        assert np.abs(images.astype(int) - live).max() <= 1
    np.testing.assert_allclose(from_seeds["z"], z, atol=1e-6)
    np.testing.assert_array_equal(from_seeds["images"][1], from_seeds["images"][3])


def test_rows_do_not_depend_on_their_batch(exported):
    _, _, session = exported
    seeds = np.arange(9, dtype=np.int64)
    together = session.run("sample", seed=seeds)["images"].astype(int)
    for seed in seeds:
        alone = session.run("sample", seed=seeds[seed : seed + 1])["images"]
        assert np.abs(alone - together[seed]).max() <= 1


def test_discriminator_answers_as_live(exported):
    gan, _, session = exported
    images = np.random.default_rng(0).integers(0, 256, (4, *gan.generator.output.shape[1:]), np.uint8)
    live = build_outputs(gan.discriminator)(to_float(images), training=False)
    served = session.run("discriminate", images=images)
    tolerance = 5e-2 if gan.config.mixed_precision else 1e-4
    for name in ("logits", "probability", "features"):
        np.testing.assert_allclose(served[name], live[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_loads_in_python_too(exported):
    gan, path, _ = exported
    sample = tf.saved_model.load(str(path)).signatures["sample"]
    images = sample(seed=tf.constant([3], tf.int64))["images"]
    assert np.abs(images.numpy().astype(int) - generate(gan.ema_generator, [3])).max() <= 1


def test_versions_only_grow_and_leave_nothing_beside(small_config, tmp_path):
    gan = make_gan(small_config())
    (tmp_path / "7").mkdir()
    assert export_gan(gan, tmp_path).name == "8"
    assert export_gan(gan, tmp_path).name == "9"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8", "9"]


def test_unwritable_target_is_one_error(small_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the export cannot be written"):
        export_gan(make_gan(small_config()), tmp_path / "file" / "saved_model")
