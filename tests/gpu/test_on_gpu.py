"""What only a GPU can show: python -m pytest -n 0 -m gpu tests/gpu"""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.benchmarking.workload import make_synthetic_data
from dcgan_tf.data.batches import make_batches
from dcgan_tf.evaluation.classifier import Classifier, build_classifier, fit_classifier
from dcgan_tf.evaluation.features import classifier_network
from dcgan_tf.generation.projection import project
from dcgan_tf.generation.sampling import generate
from dcgan_tf.models.normalization import BatchNorm
from dcgan_tf.serving.saved_model import export_networks
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.optimizers import apply_gradients, build_optimizer
from tests.gpu.part import has_gpu
from tests.small_runs import make_networks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not has_gpu(), reason="needs a GPU that TensorFlow can use"),
]
STEPS = 5


@pytest.fixture(autouse=True)
def _reproducible():
    tf.config.experimental.enable_op_determinism()


def weights_after_steps(config, folder, steps=STEPS):
    folder.mkdir(exist_ok=True)
    batches = iter(make_batches(make_synthetic_data(config, folder), config, 0, steps))
    gan = GAN(config)
    gan.train_steps(batches, tf.constant(steps))
    return [weight.numpy() for network in (gan.generator, gan.discriminator) for weight in network.weights]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mixed_precision": True},
        {"jit_compile": True},
        {"dropout": 0.3, "upsampling": "nearest"},
        {"kernel_size": 3, "upsampling": "nearest", "mixed_precision": True},
        {"upsampling": "bicubic"},
        {"penalty": "r1", "penalty_every": 2, "discriminator_norm": "layer"},
        {"unroll_steps": 1},
        {"spectral_norm": True, "discriminator_norm": "none", "loss": "hinge"},
        {"diff_augment": "color,translation,cutout"},
        {"conditional": True, "class_names": ("a", "b", "c")},
        {"loss": "wasserstein", "weight_clip": 0.01, "optimizer": "rmsprop"},
    ],
    ids=str,
)
def test_trains_twice_to_the_same_bits(small_config, tmp_path, settings):
    config = small_config(**settings)
    first, second = (weights_after_steps(config, tmp_path) for _ in range(2))
    assert all(np.isfinite(weight).all() for weight in first)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_seed_has_its_image_whatever_else_is_asked_for():
    generator = make_networks().generator
    alone = generate(generator, [7])[0]
    assert np.array_equal(alone, generate(generator, range(40))[7])
    assert np.array_equal(alone, generate(generator, [3, 9, 7])[2])


def test_adam_in_one_operation_updates_as_keras_does(small_config):
    config = small_config()
    networks = [make_networks().generator for _ in range(2)]
    optimizers = [build_optimizer(config, 1e-3, network) for network in networks]
    random = np.random.default_rng(0)
    for _ in range(3):
        gradients = [tf.constant(random.normal(size=w.shape), tf.float32) for w in networks[0].trainable_variables]
        apply_gradients(optimizers[0], gradients, networks[0].trainable_variables)
        optimizers[1].apply(gradients, networks[1].trainable_variables)
    for one, other in zip(*(network.trainable_variables for network in networks), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_batch_norm_in_bfloat16_is_that_of_float32():
    images = tf.random.stateless_normal((16, 8, 8, 4), [0, 0]) * 3 + 1
    results = []
    for dtype in ("float32", "mixed_bfloat16"):
        layer = BatchNorm(momentum=0.9, epsilon=1e-5, dtype=dtype)
        layer.build(images.shape)
        given = tf.cast(images, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.reduce_sum(tf.cast(layer(given, training=True), tf.float32) ** 3)
        results.append([loss, tape.gradient(loss, given), layer.moving_mean.value, layer.moving_variance.value])
    for exact, rounded in zip(*results, strict=True):
        exact, rounded = exact.numpy(), tf.cast(rounded, tf.float32).numpy()
        assert np.linalg.norm(rounded - exact) <= 0.02 * np.linalg.norm(exact)


def test_another_process_trains_beside_this_one(small_config, tmp_path):
    """Memory grows with what is used, so that this process, which holds the card, leaves some."""
    weights_after_steps(small_config(), tmp_path)
    program = "import dcgan_tf, tensorflow as tf; print(float(tf.reduce_sum(tf.ones((64, 64)) @ tf.ones((64, 64)))))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert result.stdout.strip() == str(float(64**3)), result.stderr[-2000:]
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_export_is_checked_beside_a_process_that_holds_the_card(small_config, tmp_path):
    weights_after_steps(small_config(), tmp_path / "data")
    version = export_networks(make_networks(), tmp_path / "export", keep_versions=1)
    assert (version / "saved_model.pb").exists()


def test_evaluation_computes_on_the_gpu_the_same_every_time():
    images = np.random.default_rng(0).integers(0, 256, (256, 16, 16, 1), np.uint8)
    labels = np.arange(256) % 3
    results = []
    for _ in range(2):
        network = build_classifier((16, 16, 1), 3)
        fit_classifier(network, images.__getitem__, labels, steps=STEPS, description="training")
        features = classifier_network(Classifier("small", network, "", 0.0, ""), (16, 16, 1)).function(
            tf.constant(images[:64])
        )[0]
        assert "GPU" in features.device
        results.append(features.numpy())
    assert np.array_equal(*results)


def test_projection_comes_near_a_sample_the_same_every_time():
    networks = make_networks()
    image = generate(networks.generator, [3])
    options = {"steps": 100, "restarts": 8, "seed": 0, "feature_weight": 0.1}
    first, second = (project(networks.generator, networks.discriminator, image, None, **options) for _ in range(2))
    assert np.array_equal(first.z, second.z)
    others = generate(networks.generator, range(10, 40)).astype(float)
    nearest = np.sqrt(((others - image) ** 2).mean(axis=(1, 2, 3))).min() / 255
    assert first.pixel_distance < nearest
