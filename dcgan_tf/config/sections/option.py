"""The definition of one setting: a field with everything that its flag, help text and checks need."""

import dataclasses
from typing import Any, Literal

# The type of a setting that is on, off, or decided when the training begins.
Switch = bool | Literal["auto"]


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
    """Defines one setting.

    Args:
        default: The value if the user gives none.
        description: The help text. Its first sentence is the short help.
        minimum: The least value allowed.
        above: Values must be greater than this.
        maximum: The greatest value allowed.
        below: Values must be less than this.
        choices: The values allowed; empty for any.
        may_change: Whether a resumed run may have another value, because training stays the same.
        flag: Whether there is a flag. False for what is determined from the data.
        path: Whether the value names a file or folder.

    Returns:
        A dataclass field with all of this in its metadata.
    """
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
