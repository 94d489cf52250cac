"""Arithmetic on named vectors: "thick - thin + 2 * slanted" (Radford et al. 2015, arXiv 1511.06434, section 6.3)."""

import re
from collections.abc import Mapping

import numpy as np

from dcgan_tf.errors import UserError

NAME = r"[A-Za-z_][A-Za-z_0-9]*"
NUMBER = r"\d+(?:\.\d*)?|\.\d+"
TERM = re.compile(
    rf"\s*(?P<sign>[+-])?\s*(?:(?P<before>{NUMBER})\s*\*\s*)?(?P<name>{NAME})(?:\s*\*\s*(?P<after>{NUMBER}))?\s*"
)
# The paper shows the result with eight neighbors, each shifted by uniform noise of this scale.
NOISE = 0.25
NEIGHBORS = 8

Terms = list[tuple[float, str]]


def parse_expression(text: str) -> Terms:
    """Parses ``thick - thin + 2 * slanted`` as [(1, "thick"), (-1, "thin"), (2, "slanted")].

    Raises:
        UserError: The text is not a sum of names, each with an optional factor.
    """
    terms: Terms = []
    place = 0
    while place < len(text) or not terms:
        match = TERM.match(text, place)
        # Only the first term may lack a sign.
        if match is None or (terms and not match["sign"]) or (match["before"] and match["after"]):
            raise UserError(
                "`expression`: expected names of vectors with + and - between them, such as "
                f"'thick - thin + 2 * slanted'. Received: {text!r}, which cannot be parsed from {text[place:]!r} on"
            )
        factor = float(match["before"] or match["after"] or 1)
        terms.append((-factor if match["sign"] == "-" else factor, match["name"]))
        place = match.end()
    return terms


def evaluate(terms: Terms, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The weighted sum of arrays of the same shape.

    Raises:
        UserError: A term names an unknown vector.
    """
    unknown = [name for _, name in terms if name not in vectors]
    if unknown:
        raise UserError(
            f"`expression`: unknown vector '{unknown[0]}'. Expected one of: {', '.join(vectors) or 'none is defined'}. "
            f"To create it, use the action vectors or directions"
        )
    return np.sum([np.float32(factor) * vectors[name] for factor, name in terms], axis=0)


def result_and_neighbors(z: np.ndarray, seed: int) -> np.ndarray:
    """A latent in the middle of eight others with uniform noise of +-0.25: float32 [9, latent_dim], z is number 4."""
    noise = np.random.default_rng(seed).uniform(-NOISE, NOISE, (NEIGHBORS, len(z))).astype(np.float32)
    return np.insert(z + noise, NEIGHBORS // 2, z, axis=0)
