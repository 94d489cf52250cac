"""Exports a run as a SavedModel for TensorFlow Serving: python -m dcgan_tf export --run_dir=runs/000-mnist"""

import pathlib

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.errors import UserError
from dcgan_tf.paths import refuse_undecodable
from dcgan_tf.serving.verification import WAYS

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path("run_dir", "", "Folder of the run to export.")
    flags.DEFINE_string("checkpoint", "best", "Checkpoint to export: best, latest, or a step that has one.")
    command_line.define_path("out", "", "Folder of the exported versions. Default: saved_model in the run's folder.")
    flags.DEFINE_enum(
        "verify",
        "load",
        WAYS,
        "How the written model is checked before it is published. load: TensorFlow loads it in a new process. server: "
        "it runs in the C++ session of TensorFlow Serving.",
    )
    flags.DEFINE_integer(
        "keep_versions", None, "Number of most recent versions to keep. Default: as in the run's settings."
    )


def run() -> None:
    run = common.find_run()
    keep_versions = run.config.keep_versions if FLAGS.keep_versions is None else FLAGS.keep_versions
    if keep_versions < 1:
        raise UserError(f"--keep_versions: expected at least 1. Received: {keep_versions}")

    notices.import_tensorflow()
    from dcgan_tf.generation.networks import load_networks
    from dcgan_tf.runs.records import metrics_at
    from dcgan_tf.serving.saved_model import export_networks

    networks = load_networks(run, FLAGS.checkpoint)
    directory = pathlib.Path(FLAGS.out) if FLAGS.out else run.saved_model
    refuse_undecodable(directory, "out")
    directory.parent.mkdir(parents=True, exist_ok=True)
    metrics = metrics_at(run, networks.step)
    version = export_networks(networks, directory, keep_versions, metrics, verify=FLAGS.verify)
    print(f"Exported step {networks.step} to {version}")
