"""A setting: a field with everything that its flag, its help and its checks need."""

import dataclasses
from typing import Any


def option(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    may_change: bool = False,
    flag: bool = True,
    path: bool = False,
) -> Any:
    """A field with what its flag needs. ``may_change``: a resumed run accepts another value, training is the same.
    ``flag``: false for what is settled from the data. ``path``: names a file or folder."""
    metadata = {
        "description": description,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "below": below,
        "choices": choices,
        "may_change": may_change,
        "flag": flag,
        "path": path,
    }
    return dataclasses.field(default=default, metadata=metadata)
