"""Named latent vectors of a run, kept in a readable JSON file with one line per vector."""

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dcgan_tf import files
from dcgan_tf.errors import UserError
from dcgan_tf.generation.arithmetic import NAME
from dcgan_tf.generation.measures import MEASURES

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Vector:
    """One named vector.

    Attributes:
        values: float32 [latent_dim].
        origin: How the vector was made, in a few words.
        seeds: The exemplars whose latents were averaged; empty for a fitted direction, which has length 1.
        label: The class of the exemplars; None if the generator is not conditional.
    """

    values: np.ndarray
    origin: str
    seeds: tuple[int, ...] = ()
    label: int | None = None

    @property
    def is_direction(self) -> bool:
        """Whether it is a direction to move along, and not a mean of exemplars or a projection."""
        return not self.seeds and bool(np.isclose(np.linalg.norm(self.values), 1, atol=1e-3))


@dataclasses.dataclass
class VectorFile:
    """The vectors of one generator.

    Attributes:
        digest: Digest of its weights.
        latent_dim: Length of each vector.
        vectors: The vectors by name.
    """

    digest: str
    latent_dim: int
    vectors: dict[str, Vector] = dataclasses.field(default_factory=dict)

    def save(self, path: pathlib.Path) -> None:
        """Writes the file, whole or not at all."""
        lines = [
            f"  {json.dumps(name)}: "
            + json.dumps(
                {
                    "origin": vector.origin,
                    "seeds": list(vector.seeds),
                    "label": vector.label,
                    "values": [float(value) for value in vector.values],
                }
            )
            for name, vector in sorted(self.vectors.items())
        ]
        head = f'"format": {FORMAT_VERSION}, "generator": "{self.digest}", "latent_dim": {self.latent_dim}'
        files.write_text(path, f'{{{head}, "vectors": {{\n' + ",\n".join(lines) + "\n}}\n")

    def arrays(self) -> dict[str, np.ndarray]:
        """The values of the vectors by name."""
        return {name: vector.values for name, vector in self.vectors.items()}

    def add(self, name: str, vector: Vector) -> None:
        """Adds a vector, or replaces the vector of the same name."""
        refuse_bad_name(name)
        self.vectors[name] = vector

    def merge(self, other: "VectorFile") -> list[str]:
        """Imports the vectors of another file; returns the names of the new ones.

        Raises:
            UserError: Both files have a vector of the same name, and the two differ.
        """
        for name, vector in other.vectors.items():
            if name in self.vectors and not np.array_equal(self.vectors[name].values, vector.values):
                raise UserError(f"`merge`: both files have a vector '{name}', and they differ. Rename one of them")
        new = [name for name in other.vectors if name not in self.vectors]
        self.vectors |= other.vectors
        return new


def refuse_bad_name(name: str) -> None:
    """Raises UserError unless a vector can have this name."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"`name`: expected a word of letters, digits and _, such as thick. Received: {name!r}")


def name_of_class(names: Sequence[str], number: int) -> str:
    """The vector name for the direction of a class: the class name if it is a word, else derived from it.

    If another class or a measured value would have the same name, it ends with the number of the class.

    >>> [name_of_class(("smile", "bob cut", "7"), number) for number in range(3)]
    ['smile', 'bob_cut', 'class_7']
    >>> [name_of_class(("bob cut", "bob-cut", "slant"), number) for number in range(3)]
    ['bob_cut_0', 'bob_cut_1', 'slant_2']
    """
    words = [re.sub(r"[^A-Za-z0-9_]+", "_", name) for name in names]
    words = [word if re.fullmatch(NAME, word) else f"class_{word}" for word in words]
    word = words[number]
    is_taken = word in MEASURES or (word != names[number] and words.count(word) > 1)
    return f"{word}_{number}" if is_taken else word


def load_vectors(path: pathlib.Path, digest: str, latent_dim: int) -> VectorFile:
    """Reads the vectors of a generator. Returns an empty collection if there is no file.

    Args:
        path: Path of the file.
        digest: Digest of the generator's weights, which the file must match.
        latent_dim: Length of its latents.

    Raises:
        UserError: The file is not a file of vectors, or it belongs to other weights.
    """
    if not path.exists():
        return VectorFile(digest, latent_dim)
    try:
        content = files.read_json(path)
        if content["format"] != FORMAT_VERSION:
            raise ValueError(f"format {content['format']}")
        vectors = {name: _read_vector(entry, content["latent_dim"]) for name, entry in content["vectors"].items()}
        if not all(re.fullmatch(NAME, name) for name in vectors):
            raise ValueError("invalid name of a vector")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(
            f"'{path}' is not a file of vectors: {type(error).__name__} {error}. Name another file with `vectors`, or "
            "move it elsewhere"
        ) from None
    if content["generator"] != digest or content["latent_dim"] != latent_dim:
        raise UserError(
            f"'{path}' belongs to other weights: it was made with the generator {content['generator']}, and this one "
            f"is {digest}, from another run or checkpoint. Name another file with `vectors`, or remove the file"
        )
    return VectorFile(digest, latent_dim, vectors)


@contextlib.contextmanager
def changing_vectors(path: pathlib.Path, digest: str, latent_dim: int) -> Iterator[VectorFile]:
    """Yields what `load_vectors` reads, and saves it at the end. Other commands that change the file wait."""
    lock = path.with_name(f".{path.name}.lock")
    with files.locked(lock, waiting=f"Waiting for another process that changes '{path}' ..."):
        vectors = load_vectors(path, digest, latent_dim)
        yield vectors
        vectors.save(path)


def _read_vector(entry: dict[str, Any], latent_dim: int) -> Vector:
    values = np.array(entry["values"], np.float32)
    if values.shape != (latent_dim,) or not np.isfinite(values).all():
        raise ValueError(f"expected {latent_dim} finite numbers per vector")
    if not (entry["label"] is None or type(entry["label"]) is int):
        raise ValueError(f"expected a whole number for a label, or null. Received: {entry['label']!r}")
    return Vector(values, str(entry["origin"]), tuple(int(seed) for seed in entry["seeds"]), entry["label"])
