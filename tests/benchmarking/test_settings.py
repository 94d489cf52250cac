"""Settings of the measuring commands are read as `train` reads its flags."""

import pytest

from dcgan_tf.errors import UserError
from tests.benchmarks.settings import parse_settings


def test_each_kind_of_value_is_read_as_a_flag_is():
    typed = ["steps=100", "flip=True", "joint_batch=false", "mixed_precision=auto", "dropout=0.5", "image_size=80x64"]
    assert parse_settings(typed) == {
        "steps": 100, "flip": True, "joint_batch": False, "mixed_precision": "auto", "dropout": 0.5,
        "image_size": "80x64",
    }  # fmt: skip
    assert parse_settings(["mixed_precision=true", "preset=photos"]) == {"mixed_precision": True, "preset": "photos"}
    assert parse_settings([]) == {}


@pytest.mark.parametrize("typed", ["stpes=100", "flip=maybe", "steps=many", "steps"])
def test_what_is_no_setting_is_one_line(typed):
    with pytest.raises(UserError, match="--set: ") as caught:
        parse_settings([typed])
    assert "\n" not in str(caught.value)
