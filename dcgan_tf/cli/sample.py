"""What a trained generator can show: python -m dcgan_tf sample ACTION --run_dir=runs/000-mnist

The first word names the action: images (where it is left out), interpolate, walk, sweep, directions, vectors,
arithmetic, project, neighbors, filters or projector. `python -m dcgan_tf sample ACTION --help` lists its flags.
"""

if __name__ == "__main__":
    import dcgan_tf.interrupt  # noqa: F401  Before the others, which take their time

import importlib
import sys

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.errors import UserError

# A module of dcgan_tf.cli.actions each, of the same name.
ACTIONS = (
    "images",
    "interpolate",
    "walk",
    "sweep",
    "directions",
    "vectors",
    "arithmetic",
    "project",
    "neighbors",
    "filters",
    "projector",
)


def main(action: str) -> None:
    if action not in ACTIONS:
        raise UserError(f"unknown action '{action}'. Expected one of: {', '.join(ACTIONS)}")
    importlib.import_module(f"dcgan_tf.cli.actions.{action}").run()


if __name__ == "__main__":
    has_action = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
    action = sys.argv.pop(1) if has_action else "images"
    # Only its own flags are defined, so that one which means nothing to this action is refused.
    if action in ACTIONS:
        module = importlib.import_module(f"dcgan_tf.cli.actions.{action}")
        module.define_flags()
        flags.adopt_module_key_flags(module)
    else:
        del sys.argv[1:]
    command_line.run(lambda: main(action))
