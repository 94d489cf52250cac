"""Says how good a run is: python -m dcgan_tf evaluate --run_dir=runs/000-mnist"""

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.errors import UserError

MIN_IMAGES = 200
MAX_SEED = 2**62

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path("run_dir", "", "Folder of the run to evaluate.")
    flags.DEFINE_string("checkpoint", "best", "best, latest, or a step that has a checkpoint.")
    flags.DEFINE_integer(
        "num",
        10_000,
        "Number of generated images, and at most as many real ones; fewer if there are fewer training images.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the first generated image.")
    command_line.define_path(
        "inception_weights",
        "",
        "Also measure with Inception v3 from this file: the 2015 frozen graph (.pb, gives FID), or Keras's ImageNet "
        "weights without top (.h5, does not).",
    )
    common.define_classifier_flags()
    flags.DEFINE_boolean("probe", False, "Test the discriminator's features by a linear SVM, and two baselines.")
    flags.DEFINE_string("labels_per_class", "all", "For --probe: such as 10,100,1000; or all.")
    flags.DEFINE_integer("draws", 10, "For --probe: how many times the labels are drawn, unless all are used.")
    flags.DEFINE_boolean(
        "train_on_synthetic", False, "Train classifiers on the images of a conditional run, and test them on real ones."
    )
    common.define_data_flags()


def run() -> None:
    run = common.find_run()
    if FLAGS.num < MIN_IMAGES:
        raise UserError(
            f"--num: expected at least {MIN_IMAGES}, which the measures need. Received: {FLAGS.num}. Papers use "
            "10,000 or 50,000"
        )
    if not 0 <= FLAGS.seed <= MAX_SEED:
        raise UserError(f"--seed: expected from 0 to {MAX_SEED}. Received: {FLAGS.seed}")
    if FLAGS.draws < 1:
        raise UserError(f"--draws: expected at least 1. Received: {FLAGS.draws}")
    labels_per_class = _parse_labels(FLAGS.labels_per_class)
    notices.import_tensorflow()
    common.keep_typed_folders(run)

    from dcgan_tf.evaluation.evaluator import Options, evaluate_run
    from dcgan_tf.evaluation.figures import format_table
    from dcgan_tf.evaluation.report import write_json, write_report

    options = Options(
        checkpoint=FLAGS.checkpoint,
        num=FLAGS.num,
        seed=FLAGS.seed,
        inception_weights=FLAGS.inception_weights,
        features_from=FLAGS.features_from,
        resize=FLAGS.resize,
        probe=FLAGS.probe,
        labels_per_class=labels_per_class,
        draws=FLAGS.draws,
        synthetic=FLAGS.train_on_synthetic,
    )
    evaluation = evaluate_run(run, options)
    print(f"\n{run.directory}, step {evaluation.facts['checkpoint_step']}; {evaluation.facts['data']}")
    print(f"Compared with the split {evaluation.facts['real_split']}. 'real images': what training images score.\n")
    print(format_table(evaluation.figures))
    for name, reason in evaluation.left_out.items():
        print(f"left out: {name}: {reason}")
    for result in evaluation.probes:
        labels = f"{result.labels_per_class} labels a class" if result.labels_per_class else "all labels"
        interval = f" +- {result.interval:.2%} (95 %, {result.draws} draws)" if result.interval is not None else ""
        print(f"probe, {labels}, {result.features}: {result.accuracy:.2%}{interval} right, C={result.penalty:g}")
    for synthetic in evaluation.synthetic:
        print(
            f"{synthetic.classifier} trained on {synthetic.trained_on}: {synthetic.accuracy:.2%} of real images right"
        )
    print(f"\nWrote {write_json(evaluation, run)}\n      {write_report(evaluation, run)}")


def _parse_labels(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word == "all" or (word.isdecimal() and int(word) > 1) for word in words):
        raise UserError(f"--labels_per_class: expected numbers from 2 such as 10,100,1000, or all. Received: {text!r}")
    return tuple(0 if word == "all" else int(word) for word in words)
