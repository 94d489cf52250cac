"""The program ``dcgan COMMAND``, which is the same as ``python -m dcgan_tf COMMAND``."""

import importlib
import sys
from typing import NoReturn

from dcgan_tf.cli import command_line

# Command -> summary, in the order of the overview. Each command is a module of this package.
COMMANDS = {
    "train": "Train a DCGAN, or resume a run.",
    "sample": "Draw images from a trained generator, and explore its latent space.",
    "explore": "Open a local web page to explore a trained generator.",
    "evaluate": "Evaluate a run.",
    "compare": "Put evaluated runs into one table and figure.",
    "inspect": "Inspect a data set before training on it.",
    "benchmark": "Measure speed and memory on this machine.",
    "quality": "Measure how good a generator becomes in a fixed time.",
    "export": "Export a run for TensorFlow Serving, Keras, ONNX or LiteRT.",
    "client": "Ask a TensorFlow Serving server for images.",
}


def main() -> NoReturn:
    """Runs the command that the first argument names."""
    program = "dcgan" if sys.argv[0].endswith("dcgan") else "python -m dcgan_tf"
    name, *arguments = sys.argv[1:] or ["--help"]
    if name == "--version":
        command_line.print_version()
    if name in command_line.HELP_FLAGS:
        print(_overview(program))
        sys.exit()
    if name not in COMMANDS:
        command_line.fail(f"unknown command '{name}'. {command_line.suggest(name, COMMANDS)}")
    run_command(name, arguments, f"{program} {name}")


def run_command(name: str, arguments: list[str], program: str) -> NoReturn:
    """Runs one command and exits.

    Args:
        name: One of `COMMANDS`.
        arguments: What was typed after it.
        program: How the user started the command, for the help text.
    """
    command_line.run(importlib.import_module(f"dcgan_tf.cli.{name}"), arguments, program)


def _overview(program: str) -> str:
    lines = [
        f"Usage: {program} COMMAND [--flag=value ...]",
        "",
        "DCGAN in TensorFlow and Keras: train, watch, evaluate, export, serve.",
        "",
        *(f"  {name:<10} {summary}" for name, summary in COMMANDS.items()),
        "",
        f"{program} COMMAND --help lists the flags of a command; --version prints the version.",
    ]
    return "\n".join(lines)
