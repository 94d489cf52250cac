"""Checks one setting by itself: its type, its choices, its limits."""

import contextlib
import dataclasses
import numbers
import os
from typing import Any

from dcgan_tf.config.sections.option import Switch
from dcgan_tf.errors import UserError
from dcgan_tf.paths import LOCAL, is_address

TYPE_WORDS: dict[Any, str] = {
    bool: "true or false",
    Switch: "true, false or auto",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def check_type(field: dataclasses.Field, value: Any) -> Any:
    """The value, converted to its field's type; raises UserError if it is of another type."""
    if field.metadata["path"] and isinstance(value, os.PathLike):
        value = os.fspath(value)
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if field.type is int and is_number and isinstance(value, numbers.Integral):
        return int(value)
    if field.type is float and is_number:
        with contextlib.suppress(OverflowError):
            return float(value)
    if field.type in (bool, str) and isinstance(value, field.type):
        return value
    if field.type == Switch and (isinstance(value, bool) or value == "auto"):
        return value
    if field.type not in TYPE_WORDS and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    expected, received = TYPE_WORDS.get(field.type, "a list of names"), repr(value)[:100]
    raise UserError(f"`{field.name}`: expected {expected}. Received: {received}", field=field.name)


def check_range(field: dataclasses.Field, value: Any) -> None:
    """Raises UserError unless the value is one of its field's choices and within its limits."""
    rules, expected = field.metadata, []
    if rules["choices"] and value not in rules["choices"]:
        expected.append(f"one of: {', '.join(rules['choices'])}")
    # TensorFlow Datasets itself reads prepared data from object storage.
    if rules["path"] and field.name != "data_dir" and is_address(value):
        expected.append(LOCAL)
    if not isinstance(value, (str, bool)):
        # Written as "not (value >= limit)" so that NaN, which compares false with everything, is refused too.
        if rules["minimum"] is not None and not (value >= rules["minimum"]):
            expected.append(f"at least {rules['minimum']}")
        if rules["above"] is not None and not (value > rules["above"]):
            expected.append(f"above {rules['above']}")
        if rules["maximum"] is not None and not (value <= rules["maximum"]):
            expected.append(f"at most {rules['maximum']}")
        if rules["below"] is not None and not (value < rules["below"]):
            expected.append(f"below {rules['below']}")
        if isinstance(value, float) and value == float("inf"):
            expected.append("a finite number")
    if expected:
        raise UserError(f"`{field.name}`: expected {' and '.join(expected)}. Received: {value!r}", field=field.name)
