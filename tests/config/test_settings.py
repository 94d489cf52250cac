import dataclasses
import json

import pytest

from dcgan_tf.config.combinations import refuse_bad_combinations
from dcgan_tf.config.making import make_config
from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.sections.objective import LOSS_NAMES
from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import load_config, save_config
from dcgan_tf.errors import UserError
from dcgan_tf.objectives.losses import LOSSES


def test_defaults_and_presets_are_valid():
    for preset in PRESETS:
        config = make_config({"preset": preset})
        assert config.preset == preset
        for name, value in PRESETS[preset].items():
            assert getattr(config, name) == value


def test_preset_values_have_the_type_of_their_field():
    types = {field.name: field.type for field in dataclasses.fields(Config)}
    for preset in PRESETS.values():
        for name, value in preset.items():
            assert type(value) is types[name], name


def test_precedence_is_defaults_then_preset_then_typed():
    assert make_config({}).batch_size == Config().batch_size
    assert make_config({"preset": "dcgan"}).batch_size == 128
    assert make_config({"preset": "dcgan", "batch_size": 32}).batch_size == 32


def test_base_keeps_its_values_unless_typed():
    base = make_config({"preset": "dcgan", "seed": 5})
    assert make_config({"steps": 9}, resumed=base) == dataclasses.replace(base, steps=9)


def test_steps_typed_on_a_base_with_epochs_win():
    base = make_config({"epochs": 3.0})
    assert make_config({"steps": 9}, resumed=base).epochs == 0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 0, "at least 1"),
        ("steps", -5, "at least 1"),
        ("epochs", -1.0, "at least 0"),
        ("epochs", float("inf"), "a finite number"),
        ("batch_size", 0, "at least 2"),
        ("seed", -1, "at least 0"),
        ("seed", 2**31, "at most 2147483647"),
        ("latent_dim", 0, "at least 1"),
        ("kernel_size", 2, "at least 3"),
        ("kernel_size", 9, "at most 7"),
        ("dropout", 1.0, "below 1"),
        ("dropout", float("nan"), "at least 0"),
        ("learning_rate_generator", 0.0, "above 0"),
        ("learning_rate_discriminator", -1e-4, "above 0"),
        ("ema_decay", 1.0, "below 1"),
        ("keep_checkpoints", 0, "at least 1"),
        ("loss", "hinje", "one of: non_saturating, minimax"),
        ("upsampling", "cubic", "one of: transposed, nearest, bilinear, bicubic"),
        ("discriminator_head", "max", "one of: flatten, average_pool"),
        ("architecture", "unet", "one of: dcgan, mlp"),
        ("channels", "2", "one of: auto, 1, 3, 4"),
        ("preset", "fast", "Expected one of: default, dcgan, gan"),
        ("generator_filters", "64,", "from 1 to 16384 such as 64"),
        ("discriminator_filters", "0", "from 1 to 16384 such as 64"),
        ("latent_dim", 10**12, "at most 65536"),
        ("background", "black", "has no effect with `dataset=mnist`"),
        ("image_size", "48x300", "expected sides from 16 to 256 pixels"),
        ("image_size", "big", "such as 64"),
        ("image_size", "8", "expected sides from 16 to 256 pixels"),
        (
            "cache_dir",
            "gs://bucket/cache",
            "expected a path on this machine: mount the storage there, or copy the files",
        ),
        ("init_from", "https://example.org/run", "expected a path on this machine"),
    ],
)
def test_bad_value_names_setting_value_and_what_is_expected(name, value, expected):
    with pytest.raises(UserError) as error:
        make_config({name: value})
    message = str(error.value)
    assert message.startswith(f"`{name}`")
    assert error.value.field == name
    assert str(value) in message
    assert expected in message
    assert "\n" not in message


def test_every_numeric_field_has_a_range():
    for field in dataclasses.fields(Config):
        if field.type in (int, float) and field.metadata["flag"]:
            assert field.metadata["minimum"] is not None or field.metadata["above"] is not None, field.name


def test_steps_and_epochs_together_are_refused():
    with pytest.raises(UserError, match="`steps` and `epochs`"):
        make_config({"steps": 10, "epochs": 1.0})


@pytest.mark.parametrize("name", ["kernel_size", "upsampling", "discriminator_head"])
def test_setting_without_effect_is_refused(name):
    value = {"kernel_size": 5, "upsampling": "nearest", "discriminator_head": "average_pool"}[name]
    with pytest.raises(UserError, match=f"`{name}` has no effect with `architecture=mlp`"):
        make_config({"preset": "gan", name: value})


def test_save_and_load_round_trip(tmp_path):
    config = make_config({"preset": "dcgan", "image_size": "48x96", "blocks": 4, "dropout": 0.3})
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "5", "null", "[" * 100_000, '"\\ud800"'], ids=lambda text: text[:5])
def test_foreign_configuration_is_refused(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"config\.json is not a configuration"):
        load_config(path)


def test_loss_names_are_those_of_the_losses():
    # Config does not import TensorFlow, so it cannot read the names from the dict itself.
    assert tuple(LOSSES) == LOSS_NAMES


def test_steps_typed_beside_a_preset_with_epochs_win():
    config = make_config({"preset": "celeb_a", "steps": 9})
    assert (config.steps, config.epochs) == (9, 0)


HAND_WRITTEN = [
    ("steps", None, "`steps`: expected a whole number. Received: None"),
    ("steps", 5.0, "`steps`: expected a whole number. Received: 5.0"),
    ("steps", 10**12, "`steps`: expected at most 1000000000"),
    ("latent_dim", "5", "`latent_dim`: expected a whole number. Received: '5'"),
    ("batch_size", True, "`batch_size`: expected a whole number. Received: True"),
    ("batch_size", -1, "`batch_size`: expected at least 2"),
    ("dropout", "0.5", "`dropout`: expected a number. Received: '0.5'"),
    ("dropout", float("nan"), "`dropout`: expected at least 0"),
    ("epochs", 10**400, "`epochs`: expected a number"),
    ("beta_1", False, "`beta_1`: expected a number. Received: False"),
    ("flip", "false", "`flip`: expected true or false. Received: 'false'"),
    ("flip", 1, "`flip`: expected true or false. Received: 1"),
    ("mixed_precision", 1, "`mixed_precision`: expected true, false or auto. Received: 1"),
    ("mixed_precision", "on", "`mixed_precision`: expected true, false or auto. Received: 'on'"),
    ("dataset", ["mnist"], "`dataset`: expected text"),
    ("dataset", None, "`dataset`: expected text. Received: None"),
    ("image_size", 28, "`image_size`: expected text. Received: 28"),
    ("image_size", "7", "`image_size`: expected sides from 16 to 256"),
    ("channels", "2", "`channels`: expected one of"),
    ("generator_filters", "0", "`generator_filters`: expected a number from 1"),
    ("class_names", "0123", "`class_names`: expected a list of names. Received: '0123'"),
    ("class_names", [0, 1], "`class_names`: expected a list of names"),
    ("class_names", {"a": 1}, "`class_names`: expected a list of names"),
    ("color", "red", "unknown settings: color"),
]


@pytest.mark.parametrize(("name", "value", "expected"), HAND_WRITTEN, ids=str)
def test_configuration_written_by_hand_is_checked(tmp_path, name, value, expected):
    path = tmp_path / "config.json"
    save_config(Config(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(UserError) as error:
        load_config(path)
    assert str(error.value).startswith(f"{path} is not a configuration of this version of dcgan_tf: {expected}")
    assert str(error.value).endswith("Correct it, or restore a copy")
    with pytest.raises(UserError if hasattr(Config, name) else TypeError):  # The same in a program
        Config(**{name: value})


def test_whole_numbers_stand_for_others_and_lists_for_tuples(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"dropout": 0, "epochs": 3, "class_names": ["a", "b"]}))
    config = load_config(path)
    assert (repr(config.dropout), repr(config.epochs), config.class_names) == ("0.0", "3.0", ("a", "b"))


def test_run_whose_combination_is_refused_today_can_still_be_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"weight_clip": 0.1, "penalty": "wgan_gp"}))
    assert load_config(path).weight_clip == 0.1
    with pytest.raises(UserError, match="remove one of them"):
        refuse_bad_combinations(load_config(path))
