"""Exports a run for TensorFlow Serving, Keras, ONNX or LiteRT: python -m dcgan_tf export --run_dir=runs/000-mnist"""

import pathlib

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.errors import UserError
from dcgan_tf.paths import refuse_undecodable
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.serving.verification import WAYS

FLAGS = flags.FLAGS
SAVED_MODEL = "saved_model"
FILE_FORMATS = ("keras", "onnx", "litert")


def define_flags() -> None:
    command_line.define_path("run_dir", "", "Folder of the run to export.")
    flags.DEFINE_string("checkpoint", "best", "Checkpoint to export: best, latest, or a step that has one.")
    flags.DEFINE_enum(
        "format",
        SAVED_MODEL,
        (SAVED_MODEL, *FILE_FORMATS),
        "saved_model: a folder for TensorFlow Serving. The others: one file with the generator alone. keras: made of "
        "Keras's own layers. onnx, litert: for these runtimes; each needs the pip extra of the same name.",
    )
    command_line.define_path(
        "out",
        "",
        "Folder of the exported versions, or the file to write in another format. Default: saved_model, "
        "generator.keras, generator.onnx or generator.tflite in the run's folder.",
    )
    flags.DEFINE_enum(
        "verify",
        "load",
        WAYS,
        "How the SavedModel is checked before it is published. load: TensorFlow loads it in a new process. server: it "
        "runs in the C++ session of TensorFlow Serving. The other formats are always checked in their own runtime.",
    )
    flags.DEFINE_integer(
        "keep_versions", None, "Number of most recent versions to keep. Default: as in the run's settings."
    )


def run() -> None:
    run = common.find_run()
    if FLAGS.format != SAVED_MODEL:
        _export_file(run)
        return
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
    metrics = metrics_at(run, networks.step) | _evaluated(run, networks.step)
    version = export_networks(networks, directory, keep_versions, metrics, verify=FLAGS.verify)
    print(f"Exported step {networks.step} to {version}")


def _export_file(run: Run) -> None:
    for name in ("verify", "keep_versions"):
        if FLAGS[name].present:
            raise UserError(f"--{name} has no effect with --format={FLAGS.format}: remove it")
    notices.import_tensorflow()
    from dcgan_tf.generation.networks import load_networks
    from dcgan_tf.serving.formats import FORMATS, export_generator, refuse_missing_packages

    refuse_missing_packages(FLAGS.format)
    ending = FORMATS[FLAGS.format][0]
    out = pathlib.Path(FLAGS.out) if FLAGS.out else run.directory / f"generator{ending}"
    refuse_undecodable(out, "out")
    if out.suffix != ending:
        raise UserError(f"--out: expected a file that ends in {ending}. Received: '{out}'")
    networks = load_networks(run, FLAGS.checkpoint)
    print(f"Exported step {networks.step} to {export_generator(networks, out, FLAGS.format)}")


def _evaluated(run: Run, step: int) -> dict[str, float]:
    """The metrics of evaluation.json, if it is about this step."""
    from dcgan_tf.evaluation.comparison import JSON_FILE, read_run

    if not (run.directory / JSON_FILE).is_file():
        return {}
    evaluation = read_run(str(run.directory)).evaluation
    if evaluation["checkpoint_step"] != step:
        return {}
    return {f"evaluation/{figure['name']}": figure["value"] for figure in evaluation["figures"]}
