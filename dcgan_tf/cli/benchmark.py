"""Measures speed and memory on this machine: python -m dcgan_tf benchmark --preset=tutorial --json=benchmark.json"""

import pathlib

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.errors import UserError
from dcgan_tf.paths import refuse_undecodable

# Settings that a benchmark does not use: the length of a run, what it writes, and several devices.
NOT_MEASURED = (
    "steps", "epochs", "log_every", "sample_every", "evaluate_every", "checkpoint_every", "keep_checkpoints",
    "keep_versions", "strategy", "workers", "worker_index", "worker_timeout", "worker_secret",
    "init_from", "freeze_discriminator",
)  # fmt: skip
VARIANTS = ("jit_compile", "mixed_precision")

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_config_flags(leave_out=NOT_MEASURED)
    command_line.define_path("json", "", "JSON file to write the metrics to, with units in their names.")
    flags.DEFINE_integer("repeats", 5, "Number of rounds. Their median and range are reported.")
    flags.DEFINE_float("seconds", 1.0, "Minimum seconds spent on measuring each metric in a round.")
    flags.DEFINE_list(
        "compare",
        None,
        f"Settings to switch for comparison: any of {','.join(VARIANTS)}. Default: both on a GPU, none on a CPU.",
    )
    flags.DEFINE_boolean("breakdown", False, "Also measure the parts of a train step.")
    command_line.define_path("profile", "", "Folder for a trace of a few steps, to view in TensorBoard.")


def run() -> None:
    typed = command_line.typed_config_values()
    config = make_config(typed)
    if FLAGS.repeats < 1:
        raise UserError(f"--repeats: expected at least 1. Received: {FLAGS.repeats}")
    if not 0 < FLAGS.seconds < float("inf"):
        raise UserError(f"--seconds: expected above 0. Received: {FLAGS.seconds}")
    for name in FLAGS.compare or ():
        if name not in VARIANTS:
            raise UserError(f"--compare: expected any of {','.join(VARIANTS)}. Received: {name!r}")
    if FLAGS.breakdown and config.discriminator_steps > 1:
        raise UserError(
            "--breakdown supports only steps with one update of the discriminator. Received: "
            f"--discriminator_steps={config.discriminator_steps}"
        )
    path = pathlib.Path(FLAGS.json)
    if FLAGS.json and (path.is_dir() or not path.parent.is_dir()):
        raise UserError(f"--json: expected a file in an existing folder. Received: '{FLAGS.json}'")

    if FLAGS.profile:
        refuse_undecodable(pathlib.Path(FLAGS.profile), "profile")

    notices.import_tensorflow()
    from dcgan_tf.benchmarking import machine
    from dcgan_tf.benchmarking.measure import Options, run_benchmark
    from dcgan_tf.benchmarking.report import format_report, write_json

    variants = FLAGS.compare if FLAGS.compare is not None else VARIANTS if machine.has_gpu() else ()
    options = Options(
        repeats=FLAGS.repeats,
        seconds=FLAGS.seconds,
        synthetic="dataset" not in typed,
        variants=tuple(variants),
        breakdown=FLAGS.breakdown,
        profile=FLAGS.profile,
    )
    benchmark = run_benchmark(config, options)
    print(f"\n{format_report(benchmark)}")
    if FLAGS.json:
        write_json(benchmark, path)
        print(f"\nWrote {path}")
    if FLAGS.profile:
        print(f"\nTo view the trace: pip install xprof && tensorboard --logdir={FLAGS.profile}")
