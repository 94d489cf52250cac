"""Directions given by number or name, and shifts along them, as in the flags of several actions."""

import math
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import Source

if TYPE_CHECKING:
    from dcgan_tf.generation.generator import Generator


def define_shift_flag() -> None:
    """Defines --shift, and --vectors, the file of its names."""
    common.define_vectors_flag()
    flags.DEFINE_string(
        "shift",
        "",
        "Move all latents along directions, such as 1:2.5,thickness:-1: principal directions by number, named vectors "
        "by name, distances in standard deviations of a latent.",
    )


def parse_shifts(text: str) -> dict[str, float]:
    """Reads ``1:2.5,thickness:-1`` as {"1": 2.5, "thickness": -1.0}."""
    shifts: dict[str, float] = {}
    for part in text.split(",") if text else ():
        name, colon, amount = part.partition(":")
        try:
            value = float(amount)
        except ValueError:
            value = math.nan
        if not colon or not name.strip() or not math.isfinite(value) or name.strip() in shifts:
            raise UserError(f"--shift: expected directions and numbers, such as 1:2.5,thickness:-1. Received: {text!r}")
        shifts[name.strip()] = value
    return shifts


def find_shift(source: Source, generator: "Generator", shifts: dict[str, float]) -> np.ndarray:
    """The sum of all shifts, to be added to the latents: float32 [latent_dim]."""
    if not shifts:
        return np.zeros(generator.latent_dim, np.float32)
    return np.array(list(shifts.values()), np.float32) @ find_directions(source, generator, list(shifts))


def find_directions(source: Source, generator: "Generator", names: list[str]) -> np.ndarray:
    """Directions of length 1. A number is a principal direction, counted from 1; any other name is a named vector.

    Returns:
        float32 [names, latent_dim].

    Raises:
        UserError: One of the directions does not exist.
    """
    numbered = any(name.isdecimal() for name in names)
    named = {} if all(name.isdecimal() for name in names) else common.open_vectors(source, generator).arrays()
    principal = generator.principal_directions.vectors if numbered else np.empty((0, generator.latent_dim))
    found = []
    for name in names:
        if name.isdecimal() and 1 <= int(name) <= len(principal):
            found.append(principal[int(name) - 1])
        elif name in named:
            found.append(named[name] / np.linalg.norm(named[name]))
        else:
            raise UserError(
                f"unknown direction '{name}'. Expected a number from 1 to {len(principal) or 10}, or a named vector: "
                f"{', '.join(named) or 'none is defined yet; create some with the actions directions and vectors'}"
            )
    return np.array(found, np.float32)
