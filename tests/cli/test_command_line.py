import dataclasses

import pytest

from dcgan_tf.cli.sample import ACTIONS
from dcgan_tf.config.settings import Config
from tests.conftest import one_line


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--steps=0", "--steps: expected at least 1. Received: 0"),
        ("--steps=many", "many"),
        (
            "--loss=hinje",
            "wasserstein, relativistic_average. Received: 'hinje'",
        ),
        ("--preset=quick", "unknown preset 'quick'"),
        ("--stepz=5", "Unknown command line flag 'stepz'"),
        ("--image_size=300", "--image_size: expected sides from 16 to 256 pixels. Received: '300'"),
        ("mnist", "expected flags only"),
    ],
)
def test_mistyped_flag_is_one_line_and_leaves_nothing(command, tmp_path, flag, expected):
    result = command("train.py", flag, f"--run_dir={tmp_path / 'run'}")
    assert expected in one_line(result)
    assert not (tmp_path / "run").exists()


def test_help_lists_every_setting(command):
    result = command("train.py", "--helpfull")
    for field in dataclasses.fields(Config):
        assert (f"{field.name}:" in result.stdout) == field.metadata["flag"]
    assert "[at least 3, at most 7]" in " ".join(result.stdout.split())


def test_short_help_lists_the_settings_too(command):
    assert "--[no]fresh_noise" in command("train.py", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["--num", "--run_dir"]),
        (["images"], ["--psi", "--run_dir", "--shift", "--vectors"]),
        (["project"], ["--image", "--[no]resize", "--saved_model", "--vectors"]),
    ],
)
def test_help_of_an_action_lists_its_flags(command, arguments, expected):
    result = command("-m", "dcgan_tf", "sample", *arguments, "--help")
    for text in (*ACTIONS, *(f"  {flag}:" for flag in expected)):
        assert text in result.stdout


def test_sample_without_a_run_is_one_line(command, tmp_path):
    result = command("-m", "dcgan_tf", "sample", f"--run_dir={tmp_path}")
    assert "expected a folder made by train.py" in one_line(result)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("--num=0", "--num"), ("--seed=-1", "--seed"), ("--out=grid.jpg", "--out")],
)
def test_sample_refuses_bad_values(command, tmp_path, flag, expected):
    (tmp_path / "config.json").write_text("{}")
    assert expected in one_line(command("-m", "dcgan_tf", "sample", f"--run_dir={tmp_path}", flag))
