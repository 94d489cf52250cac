"""What a train step does on a GPU, told without one: nothing but what is known runs on the CPU or waits for it."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from dcgan_tf.benchmarking.workload import make_synthetic_data
from dcgan_tf.data.batches import make_batches
from dcgan_tf.evaluation.classifier import Classifier, build_classifier, fit_classifier
from dcgan_tf.evaluation.features import classifier_network, random_network
from dcgan_tf.generation.projection import project
from dcgan_tf.training.gan import GAN
from tests.gpu.placement import place
from tests.small_runs import make_networks

pytestmark = pytest.mark.skipif(
    not tf.sysconfig.get_build_info()["is_cuda_build"], reason="needs a TensorFlow that was built for CUDA"
)
CLASSES = {"conditional": True, "class_names": ("a", "b", "c")}
POINTS = {"dataset": "ring", "architecture": "mlp", "generator_filters": "8,8", "discriminator_filters": "8,8"}
LAYER_NORM = {"discriminator_norm": "layer"}


def readable(value):
    """The same text in each of the processes that run the tests, unlike that of a set of names."""
    return str(sorted(value)) if isinstance(value, set) else str(value)


def placement_of(config):
    gan = GAN(config)
    rows = config.batch_size * config.discriminator_steps
    images = tf.TensorSpec((rows, *config.sample_shape), tf.float32 if config.draws_points else tf.uint8)
    return place(tf.function(gan.train_step).get_concrete_function(images, tf.TensorSpec((rows,), tf.int64)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mixed_precision": True, "diff_augment": "color,translation,cutout"},
        {"augment": "ada"},
        *(
            pytest.param(settings, marks=pytest.mark.long)
            for settings in (
                {"upsampling": "nearest"},
                {"upsampling": "bilinear", "mixed_precision": True},
                {"generator_extra_layer": "image", "image_size": "28"},
                {"discriminator_head": "average_pool", "instance_noise": 0.1, "fresh_noise": True},
                {"label_smoothing": 0.1, "label_noise": 0.1, "label_flip": 0.05, "joint_batch": True},
                {"penalty": "r1", **LAYER_NORM},
                {"penalty": "dragan", "discriminator_norm": "none", "spectral_norm": True},
                {"unroll_steps": 1},
                {"unroll_steps": 1, "mixed_precision": True},
                {"loss": "wasserstein", "weight_clip": 0.01, "optimizer": "rmsprop"},
                {"loss": "hinge", "minibatch_stddev": True, "pack": 2},
                {"loss": "relativistic_average", "learning_rate_decay": "linear", "learning_rate_decay_steps": 9},
                POINTS,
            )
        ),
    ],
    ids=readable,
)
def test_all_of_a_step_is_on_the_gpu(small_config, settings):
    placement = placement_of(small_config(**settings))
    assert placement.operations.total() > 200
    assert not placement.on_cpu
    assert not placement.to_host
    assert not placement.to_device
    assert not placement.not_reproducible


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "on_cpu", "to_host"),
    [
        # Keras draws the masks with a key that TensorFlow makes on the host.
        ({"dropout": 0.3}, set(), {"StatelessRandomGetKeyCounter.seed"}),
        ({"upsampling": "bicubic"}, {"ResizeBicubic", "ResizeBicubicGrad"}, None),
        # The labels come from the host; they are cut there and copied once.
        (CLASSES, {"Split"}, {"Split.value"}),
        # A branch is chosen by the host.
        ({"penalty": "r1", "penalty_every": 4, **LAYER_NORM}, set(), {"If.cond", "StatelessIf.cond"}),
    ],
    ids=readable,
)
def test_what_a_step_leaves_to_the_host(small_config, settings, on_cpu, to_host):
    placement = placement_of(small_config(**settings))
    assert placement.on_cpu == on_cpu
    assert to_host is None or set(placement.to_host) == to_host
    assert not placement.not_reproducible


def test_the_loop_copies_a_batch_in_and_one_flag_out_a_step(small_config, tmp_path):
    """Whether all scalars are finite decides whether the loop continues."""
    config = small_config()
    batches = iter(make_batches(make_synthetic_data(config, tmp_path), config, 0, 9))
    gan = GAN(config)
    placement = place(gan.train_steps.get_concrete_function(batches, tf.constant(4)))
    assert placement.to_host.pop("StatelessIf.cond") == 1
    assert set(placement.to_host) <= {"AddV2.y"}, "only the number of steps, once per call"
    assert placement.to_device == {"Identity.input": 1}, "only the images, before they are converted to floats"
    assert not placement.not_reproducible


def test_evaluation_and_projection_stay_on_the_gpu(monkeypatch):
    """What a classifier's train step, features, the quick distance's features and a projection compute."""
    placements, make_function = [], tf.function

    def record(function=None, **options):
        if function is None:
            return lambda function: record(function, **options)
        compiled = make_function(function, **options)

        def call(*arguments):
            placements.append(place(compiled.get_concrete_function(*arguments)))
            return compiled(*arguments)

        return call

    monkeypatch.setattr(tf, "function", record)
    monkeypatch.setattr(config, "is_op_determinism_enabled", lambda: True)  # As in all of them
    images = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), np.uint8)
    network = build_classifier((16, 16, 1), 3)
    fit_classifier(network, images.__getitem__, np.arange(16) % 3, steps=1, description="training")
    classifier_network(Classifier("small", network, "", 0.0, ""), (16, 16, 1)).function(tf.constant(images))
    random_network((16, 16, 1)).function(tf.constant(images))
    networks = make_networks()
    project(
        networks.generator, networks.discriminator, images[:1], None, steps=1, restarts=2, seed=0, feature_weight=0.1
    )
    assert len(placements) >= 5
    for placement in placements:
        assert placement.operations
        assert not placement.on_cpu
        assert not placement.not_reproducible
    assert sum(
        placement.operations["ResourceApplyAdam"] + placement.operations["Conv2DBackpropInput"]
        for placement in placements
    )


def test_what_it_finds_is_there():
    """The checks above can fail: each kind of finding, in a function made for it."""

    @tf.function(input_signature=[tf.TensorSpec((4, 8, 8, 3)), tf.TensorSpec([2], tf.int64)])
    def function(images, key):
        shift = tf.random.stateless_uniform([], key, 0, 3, tf.int32, alg="philox")
        with tf.GradientTape() as tape:
            tape.watch(images)
            large = tf.image.resize(images, [16, 16], "nearest") * tf.cast(shift + 1, tf.float32)
            larger = tf.image.resize(large, [32, 32], "bicubic")
        return tape.gradient(larger, images)

    placement = place(function.get_concrete_function())
    assert placement.on_cpu == {"ResizeBicubic", "ResizeBicubicGrad"}
    assert placement.not_reproducible == {"ResizeNearestNeighborGrad"}
    assert set(placement.to_host) >= {"AddV2.x", "ResizeBicubic.images"}
    assert set(placement.to_device) >= {"Cast.x", "Mul.x"}
