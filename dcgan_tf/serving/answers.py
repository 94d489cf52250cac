"""What an answer of a server must look like before anything is made of it: it may come from a stranger."""

import base64
import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dcgan_tf.errors import UserError

# What each output is; "_bytes" at the end of a name makes the server's REST interface encode it in base64.
OUTPUT_TYPES: Mapping[str, type] = {
    "images": np.uint8,
    "z": np.float32,
    "image_bytes": object,
    "logits": np.float32,
    "probability": np.float32,
    "features": np.float32,
}
# What the client takes from the answer of each signature.
USED_OUTPUTS: Mapping[str, frozenset[str]] = {
    "sample": frozenset({"images"}),
    "sample_png": frozenset({"image_bytes"}),
    "interpolate": frozenset({"images"}),
    "discriminate": frozenset({"logits", "probability", "features"}),
}
# A larger answer is not read to its end. As JSON, a number takes up to 32 bytes.
MAX_BYTES = 32 * 2**20
MAX_VALUES = MAX_BYTES // 32
PNG_START = b"\x89PNG\r\n\x1a\n"

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Signature:
    """Names and shapes of the inputs and outputs of a signature, as the server states them; -1 where one is free."""

    inputs: Shapes
    outputs: Shapes

    @property
    def values_per_row(self) -> int:
        """How many numbers go to the server and back for one row."""
        return sum(math.prod(shape[1:]) for shape in (*self.inputs.values(), *self.outputs.values()))

    def is_ours(self, name: str) -> bool:
        """Whether it has outputs that are known here, rows that are free alone, and not too many values in one."""
        shapes = (*self.inputs.values(), *self.outputs.values())
        return (
            USED_OUTPUTS[name] <= self.outputs.keys() <= OUTPUT_TYPES.keys()
            and len(self.outputs.get("images", (0, 0, 0, 0))) == 4
            and all(shape and min(shape[1:], default=1) > 0 for shape in shapes)
            and 0 < self.values_per_row <= MAX_VALUES
        )


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version of a model on the server: its number, its state such as "AVAILABLE", and what went wrong."""

    version: int
    state: str
    error: str


@contextlib.contextmanager
def understood(refusal: Callable[[str], UserError]) -> Iterator[None]:
    """Around what takes an answer apart: whatever goes wrong there, the answer is the reason."""
    try:
        yield
    except Exception as error:
        raise refusal(in_short(error if isinstance(error, ValueError) else repr(error))) from None


def from_json(name: str, values: Any) -> np.ndarray:
    """An output in the server's JSON. Raises any exception where it is something else."""
    kind = OUTPUT_TYPES[name]
    if name.endswith("_bytes"):
        decoded = np.empty(len(values), object)
        decoded[:] = [base64.b64decode(value["b64"], validate=True) for value in values]
        return decoded
    # Not by NumPy's own choice of type, for which one long text among many short ones takes any amount of memory.
    numbers = np.array(values, np.float64)
    if kind is np.uint8 and not np.all((numbers >= 0) & (numbers <= 255) & (numbers % 1 == 0)):
        raise ValueError(f"{name} with values that are not from 0 to 255")
    with np.errstate(over="ignore"):
        return numbers.astype(kind)


def check_outputs(outputs: dict[str, np.ndarray], expected: Shapes) -> dict[str, np.ndarray]:
    """The outputs of a signature, if they have the names, shapes and types that they must have, else ValueError."""
    check_shapes({name: values.shape for name, values in outputs.items()}, expected)
    for name, values in outputs.items():
        if values.dtype != OUTPUT_TYPES[name]:
            raise ValueError(f"{name} of the type {values.dtype}")
        if values.dtype == object and not all(type(file) is bytes and file.startswith(PNG_START) for file in values):
            raise ValueError(f"{name} that are not PNG files")
    return outputs


def check_shapes(received: Shapes, expected: Shapes) -> None:
    """Raises ValueError unless the names and shapes are those expected."""
    if received != expected:
        raise ValueError(f"outputs of the shapes {received} in place of {expected}")


def in_short(reason: object) -> str:
    """What a server said, or what is wrong with it, in a line of bounded length."""
    return " ".join(str(reason).split())[:300]
