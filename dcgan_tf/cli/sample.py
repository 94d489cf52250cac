"""Draws images from a trained generator, and explores its latent space.

ACTION is one of those below; images is the default. Each action has its own flags: see sample ACTION --help.
"""

import importlib
from types import ModuleType

from dcgan_tf.cli import command_line

# Action -> summary. Each action is a module of dcgan_tf.cli.actions.
ACTIONS = {
    "images": "A grid of images, or one file per image.",
    "interpolate": "Transitions from one seed's image to the next, as a strip, a GIF or a video.",
    "walk": "Smooth transitions through nine random points.",
    "sweep": "One image moved along one direction at a time.",
    "directions": "Find a direction along which a measured value grows.",
    "vectors": "Average exemplars into a named vector.",
    "arithmetic": "Sums and differences of named vectors.",
    "edit": "Add a sum of named vectors to many images, and measure what it changes.",
    "project": "Find the latent whose image is closest to a picture.",
    "neighbors": "The training images nearest to each sample.",
    "filters": "What the discriminator responds to.",
    "projector": "Real and generated images for TensorBoard's projector.",
}
ARGUMENTS_OVERVIEW = "\n".join(f"  {name:<12} {summary}" for name, summary in ACTIONS.items())
__doc__ = f"{__doc__}\n{ARGUMENTS_OVERVIEW}\n"


def choose(arguments: list[str]) -> tuple[ModuleType, str, list[str]]:
    """The module of the action, its name ("" if none was typed), and the other arguments."""
    typed = bool(arguments) and not arguments[0].startswith("-")
    name = arguments[0] if typed else "images"
    if name not in ACTIONS:
        command_line.fail(f"unknown action '{name}'. {command_line.suggest(name, ACTIONS)}")
    module = importlib.import_module(f"dcgan_tf.cli.actions.{name}")
    return module, name if typed else "", arguments[typed:]
