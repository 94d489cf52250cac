"""Draws the figures of docs/how-it-works.md: python -m docs.figures NAME ...

Without a name, it draws all figures, which takes about five minutes on two CPU cores. An unknown name lists them.
"""

import importlib
import sys
import time

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.errors import UserError
from docs.figures import FIGURES

ARGUMENTS = "[NAME ...]"


def define_flags() -> None:
    """Defines no flags; there is only --help."""


def run(names: list[str]) -> None:
    for name in names:
        if name not in FIGURES:
            known = "; ".join(f"{known} ({text})" for known, text in FIGURES.items())
            raise UserError(f"unknown figure '{name}'. Expected any of: {known}")
    notices.import_tensorflow()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    for name in names or FIGURES:
        start = time.perf_counter()
        importlib.import_module(f"docs.figures.{name}").draw()
        print(f"{name}: {time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m docs.figures")
