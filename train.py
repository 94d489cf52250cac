"""Trains a DCGAN: python train.py --dataset=mnist"""

if __name__ == "__main__":
    import dcgan_tf.interrupt  # noqa: F401  Before the others, which take their time

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.runs import run_directory

command_line.define_config_flags()
RUN_DIR = command_line.define_path(
    "run_dir", "", "Folder of the run: made if missing, resumed if there. Default: the next free runs/NNN-<dataset>."
)
DRY_RUN = flags.DEFINE_boolean(
    "dry_run", False, "Print the configuration, both networks, their cost and the data's shape, and stop."
)


def main() -> None:
    config = run_directory.configure(RUN_DIR.value, command_line.typed_config_values())
    # TensorFlow takes seconds to import: a mistyped flag is answered before that.
    if DRY_RUN.value:
        from dcgan_tf.cli import dry_run

        dry_run.describe(config)
    else:
        from dcgan_tf.training import loop

        loop.train(config, RUN_DIR.value)


if __name__ == "__main__":
    command_line.run(main)
