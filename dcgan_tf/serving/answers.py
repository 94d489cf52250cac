"""Checks of a server's answers before they are used, because a server cannot be trusted."""

import base64
import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dcgan_tf.errors import UserError

# The type of each output. For names that end in "_bytes", the server's REST interface encodes the output in base64.
OUTPUT_TYPES: Mapping[str, type] = {
    "images": np.uint8,
    "z": np.float32,
    "image_bytes": object,
    "logits": np.float32,
    "probability": np.float32,
    "features": np.float32,
}
# The outputs that the client uses from each signature.
USED_OUTPUTS: Mapping[str, frozenset[str]] = {
    "sample": frozenset({"images"}),
    "sample_png": frozenset({"image_bytes"}),
    "interpolate": frozenset({"images"}),
    "discriminate": frozenset({"logits", "probability", "features"}),
}
# The client stops reading an answer that is larger. In JSON, a number takes up to 32 bytes.
MAX_BYTES = 32 * 2**20
MAX_VALUES = MAX_BYTES // 32
PNG_START = b"\x89PNG\r\n\x1a\n"

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Signature:
    """Names and shapes of a signature's inputs and outputs, as the server reports them. -1 is a free dimension."""

    inputs: Shapes
    outputs: Shapes

    @property
    def values_per_row(self) -> int:
        """The number of values sent to the server and back per row."""
        return sum(math.prod(shape[1:]) for shape in (*self.inputs.values(), *self.outputs.values()))

    def is_ours(self, name: str) -> bool:
        """Whether the outputs are known here, only the number of rows is free, and a row is not too large."""
        shapes = (*self.inputs.values(), *self.outputs.values())
        return (
            USED_OUTPUTS[name] <= self.outputs.keys() <= OUTPUT_TYPES.keys()
            and len(self.outputs.get("images", (0, 0, 0, 0))) == 4
            and all(shape and min(shape[1:], default=1) > 0 for shape in shapes)
            and 0 < self.values_per_row <= MAX_VALUES
        )


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """A version of a model on the server: its number, its state, such as "AVAILABLE", and its error, if any."""

    version: int
    state: str
    error: str


@contextlib.contextmanager
def understood(refusal: Callable[[str], UserError]) -> Iterator[None]:
    """Turns any error in decoding an answer into a refusal, because the answer is at fault."""
    try:
        yield
    except Exception as error:
        raise refusal(in_short(error if isinstance(error, ValueError) else repr(error))) from None


def from_json(name: str, values: Any) -> np.ndarray:
    """Decodes an output from the server's JSON. Raises an exception of any type if the JSON is something else."""
    kind = OUTPUT_TYPES[name]
    if name.endswith("_bytes"):
        decoded = np.empty(len(values), object)
        decoded[:] = [base64.b64decode(value["b64"], validate=True) for value in values]
        return decoded
    # With a fixed type: if NumPy chose it, one long text among many short ones would take huge amounts of memory.
    numbers = np.array(values, np.float64)
    if kind is np.uint8 and not np.all((numbers >= 0) & (numbers <= 255) & (numbers % 1 == 0)):
        raise ValueError(f"{name} with values that are not whole numbers from 0 to 255")
    with np.errstate(over="ignore"):
        return numbers.astype(kind)


def check_outputs(outputs: dict[str, np.ndarray], expected: Shapes) -> dict[str, np.ndarray]:
    """Returns the outputs of a signature; raises ValueError unless names, shapes and types are those expected."""
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
        raise ValueError(f"outputs of the shapes {received} instead of {expected}")


def in_short(reason: object) -> str:
    """A server's message, or what is wrong with its answer, as one line of limited length."""
    return " ".join(str(reason).split())[:300]
