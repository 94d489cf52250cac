"""Settings typed as name=value."""

from collections.abc import Iterable
from typing import Any

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.errors import UserError


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """``["steps=100", "flip=true"]`` -> ``{"steps": 100, "flip": True}``, as the flags of `train` are read.

    Raises:
        UserError: There is no such setting, or it has another kind of value.
    """
    values = flags.FlagValues()
    command_line.define_config_flags(flag_values=values)
    try:
        values(["", *(f"--{pair}" for pair in pairs)])
    except flags.Error as error:
        raise UserError(f"--set: {error}") from None
    return command_line.typed_config_values(values)
