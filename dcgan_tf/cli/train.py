"""Trains a DCGAN, or resumes a run: python train.py --dataset=mnist"""

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.runs.run_directory import configure

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path(
        "run_dir", "", "Run folder; created if it does not exist, resumed if it does. Default: runs/NNN-<dataset>."
    )
    flags.DEFINE_boolean(
        "dry_run", False, "Print the settings, both networks, their cost and the shape of the data, and stop."
    )
    command_line.define_config_flags()


def run() -> None:
    config = configure(FLAGS.run_dir, command_line.typed_config_values())
    # TensorFlow takes seconds to import: a mistyped flag is answered before that.
    if FLAGS.dry_run:
        from dcgan_tf.cli import dry_run

        dry_run.describe(config)
    else:
        from dcgan_tf.training import loop

        loop.train(config, FLAGS.run_dir)
