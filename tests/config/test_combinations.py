"""Settings that make no sense together are refused by name."""

import pytest

from dcgan_tf.config.combinations import CONVOLUTIONAL_FLAGS, DEPENDENT_FLAGS, FOLDER_FLAGS, IMAGE_FLAGS, TARGET_FLAGS
from dcgan_tf.config.making import make_config
from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

WGAN_GP = {"loss": "wasserstein", "penalty": "wgan_gp", "discriminator_norm": "layer"}


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ({**WGAN_GP, "weight_clip": 0.01}, ["`weight_clip", "`penalty=wgan_gp`"]),
        ({"penalty": "dragan"}, ["`penalty=dragan`", "`discriminator_norm=batch`"]),
        ({**WGAN_GP, "minibatch_stddev": True}, ["`penalty=wgan_gp`", "`minibatch_stddev"]),
        ({"loss": "wasserstein"}, ["`loss=wasserstein`", "`weight_clip", "`penalty", "`spectral_norm"]),
        ({"loss": "wasserstein", "spectral_norm": True}, ["`spectral_norm", "`discriminator_norm=none`"]),
        ({"spectral_norm": True, "weight_clip": 0.1}, ["`spectral_norm", "`weight_clip"]),
        ({"minibatch_stddev": True, "joint_batch": True}, ["`minibatch_stddev", "`joint_batch"]),
        ({"dataset": "stacked_mnist", "channels": "1"}, ["`dataset=stacked_mnist`", "`channels=1`"]),
        ({"dataset": "stacked_mnist", "channels": "4"}, ["`dataset=stacked_mnist`", "`channels=4`"]),
        (
            {"instance_noise": 0.1, "instance_noise_decay": "constant", "instance_noise_steps": 5},
            ["`instance_noise_steps", "`instance_noise_decay=constant`"],
        ),
        (
            {"learning_rate_decay": "linear", "learning_rate_decay_steps": 10},
            ["`learning_rate_decay=linear`", "`learning_rate_decay_steps=10`", "`steps=10000`"],
        ),
        ({"loss": "hinge", "label_smoothing": 0.1}, ["`label_smoothing", "`loss=hinge`"]),
        ({**WGAN_GP, "label_flip": 0.1}, ["`label_flip", "`loss=wasserstein`"]),
        ({"label_smoothing": 0.3, "label_noise": 0.3}, ["`label_smoothing", "`label_noise"]),
        ({"pack": 3}, ["`pack", "`batch_size=63`"]),
        ({"pack": 2, "conditional": True}, ["`pack", "`conditional"]),
        (
            {"penalty": "dragan", "discriminator_norm": "none", "unroll_steps": 1},
            ["`unroll_steps", "`penalty=dragan`"],
        ),
        ({"weight_clip": 0.1, "unroll_steps": 1}, ["`unroll_steps", "`weight_clip"]),
        (
            {"weight_clip": 0.1, "penalty": "none", "init_from": "mnist", "freeze_discriminator": 1},
            ["`weight_clip", "`freeze_discriminator"],
        ),
        ({"optimizer": "rmsprop", "unroll_steps": 1}, ["`unroll_steps", "`optimizer=rmsprop`"]),
        ({"optimizer": "rmsprop", "beta_1": 0.9}, ["`beta_1", "`optimizer=rmsprop`"]),
        ({"penalty": "none", "penalty_weight": 1.0}, ["`penalty_weight", "`penalty=none`"]),
        ({"unroll_steps": 1, "penalty_weight": 1.0}, ["`penalty_weight", "`penalty=none`"]),
        ({"instance_noise_steps": 5}, ["`instance_noise_steps", "`instance_noise=0.0`"]),
        ({"dataset": "ring", "architecture": "dcgan"}, ["`dataset=ring`", "`architecture=mlp`"]),
        ({"dataset": "grid", "flip": True}, ["`flip", "`dataset=grid`"]),
        ({"dataset": "ring", "diff_augment": "cutout"}, ["`diff_augment", "`dataset=ring`"]),
        ({"diff_augment": "cutout,rotation"}, ["`diff_augment", "color,translation,cutout"]),
        ({"dataset": "ring", "augment": "ada"}, ["`augment", "`dataset=ring`"]),
        *[
            (
                {"augment": "ada", **changes},
                ["`augment=ada`", "sign", f"`loss={changes['loss']}`", "`loss=non_saturating"],
            )
            for changes in (
                {"loss": "wasserstein", "weight_clip": 0.01},
                {"loss": "relativistic_average"},
                {"loss": "relativistic_pairing"},
            )
        ],
        ({"augment": "ada", "diff_augment": "cutout"}, ["`augment=ada`", "`diff_augment`", "remove one of them"]),
        ({"freeze_discriminator": 2}, ["`freeze_discriminator`", "`init_from=`"]),
        ({"preset": "gan", "spectral_norm": True, "blocks": 2}, ["`blocks", "`architecture=mlp`"]),
        ({"jit_compile": True, "upsampling": "bicubic"}, ["`jit_compile", "`upsampling"]),
        ({"image_size": "28", "blocks": 6}, ["`image_size", "at most 4 times"]),
    ],
    ids=str,
)
def test_refused_with_both_settings_named(typed, named):
    with pytest.raises(UserError) as error:
        make_config(typed)
    for setting in named:
        assert setting in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "typed",
    [
        {**WGAN_GP, "joint_batch": True},
        {"penalty": "r1", "discriminator_norm": "none", "penalty_every": 16},
        {"penalty": "r1_r2", "penalty_every": 4},
        {"unroll_steps": 3, "label_smoothing": 0.1, "minibatch_stddev": True},
        {"loss": "wasserstein", "spectral_norm": True, "discriminator_norm": "none"},
        {"preset": "wgan_gp", "architecture": "mlp", "generator_filters": "64", "discriminator_filters": "64"},
        {"preset": "wgan_gp", "optimizer": "rmsprop"},
        {"preset": "cifar10", "dataset": "ring"},
        {"dataset": "ring", "preset": "wgan_gp"},
        {"dataset": "grid", "preset": "unrolled"},
        {"dataset": "ring", "preset": "pacgan"},
        {"image_size": "50", "blocks": 3},
        {"loss": "relativistic_average", "label_flip": 0.1},
        {"augment": "ada", "flip": True, "loss": "least_squares"},
        {"augment": "ada", "unroll_steps": 2, "pack": 2, "instance_noise": 0.1},
        {"init_from": "runs/000-mnist", "freeze_discriminator": 2},
        {"preset": "r3gan", "penalty_every": 4},
    ],
    ids=str,
)
def test_accepted_as_typed(typed):
    config = make_config(typed)
    assert {name: getattr(config, name) for name in typed} == typed


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({}, ("r1", 0.1, 4)),
        ({"penalty": "auto", "conditional": True}, ("r1", 0.1, 4)),
        ({"penalty_weight": 0.2}, ("r1", 0.2, 4)),
        ({"penalty_every": 16}, ("r1", 0.1, 16)),
        ({"penalty": "r1"}, ("r1", 10.0, 1)),
        ({"penalty": "none"}, ("none", 10.0, 1)),
        *[
            ({**changes}, ("none", 10.0, 1))
            for changes in (
                {"preset": "dcgan"},
                {"preset": "tutorial"},
                {"dataset": "ring"},
                {"loss": "hinge"},
                {"discriminator_norm": "layer"},
                {"spectral_norm": True},
                {"weight_clip": 0.1},
                {"minibatch_stddev": True},
                {"joint_batch": True},
                {"unroll_steps": 1},
            )
        ],
    ],
    ids=str,
)
def test_auto_chooses_the_penalty(typed, expected):
    config = make_config(typed)
    assert (config.penalty, config.penalty_weight, config.penalty_every) == expected


def test_points_bring_their_networks_but_typed_flags_win():
    config = make_config({"dataset": "ring", "preset": "wgan_gp", "generator_filters": "64"})
    assert (config.architecture, config.generator_filters, config.penalty) == ("mlp", "64", "wgan_gp")
    assert config.sample_shape == (2,)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dataset", ["ring", "mnist"])
def test_every_preset_goes_with_points_and_images(preset, dataset):
    config = make_config({"preset": preset, "dataset": dataset})
    assert config.draws_points == (dataset == "ring")


def test_tables_name_fields_that_exist():
    names = {*CONVOLUTIONAL_FLAGS, *FOLDER_FLAGS, *IMAGE_FLAGS, *TARGET_FLAGS, *DEPENDENT_FLAGS}
    for dependents in DEPENDENT_FLAGS.values():
        names |= set(dependents)
    for name in names:
        assert hasattr(Config(), name), name
