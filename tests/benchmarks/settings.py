"""Settings typed as name=value."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from dcgan_tf.config.settings import Config


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """``["steps=100", "flip=true"]`` -> ``{"steps": 100, "flip": True}``, in the types of Config's fields."""
    types = {field.name: field.type for field in dataclasses.fields(Config)}
    values = {}
    for pair in pairs:
        name, value = pair.split("=", 1)
        values[name] = value == "true" if types[name] is bool else types[name](value)
    return values
