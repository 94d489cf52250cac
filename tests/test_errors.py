import pickle

import pytest

from dcgan_tf.errors import UserError, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain name.png", "plain name.png"),
        ("ünï 東京\u3000👨\u200d👩.png", "ünï 東京\u3000👨\u200d👩.png"),
        ("\x1b[2J", r"\x1b[2J"),
        ("two\nlines\r\t\x7f\x9b", r"two\nlines\r\t\x7f\x9b"),
        ("\u202egnp.exe\u2066\u2028", r"\u202egnp.exe\u2066\u2028"),
        (r"C:\x1b", r"C:\x1b"),
    ],
)
def test_what_would_steer_a_terminal_is_escaped(text, expected):
    assert printable(text) == expected
    assert printable(expected) == expected
    assert str(UserError(text)) == expected
    assert str(pickle.loads(pickle.dumps(UserError(text)))) == expected


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("`batch_size`: expected at least 2. Received: 1", "batch_size"),
        ("`dataset=folder`: no pictures", "dataset"),
        ("no pictures in `data_dir`", None),
        ("`a setting`: none", None),
    ],
)
def test_error_carries_the_setting_that_it_begins_with(message, field):
    assert UserError(message).field == field
    assert UserError(message, field="other").field == "other"
    assert pickle.loads(pickle.dumps(UserError(message))).field == field
