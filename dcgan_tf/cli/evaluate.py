"""Evaluates a run: python -m dcgan_tf evaluate --run_dir=runs/000-mnist"""

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
    flags.DEFINE_string("checkpoint", "best", "Checkpoint to evaluate: best, latest, or a step that has one.")
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
    flags.DEFINE_boolean(
        "probe", False, "Test the discriminator's features with a linear SVM, compared with two baselines."
    )
    flags.DEFINE_string(
        "labels_per_class", "all", "For --probe: labeled training images per class, such as 10,100,1000; or all."
    )
    flags.DEFINE_integer(
        "draws", 10, "For --probe: number of random label subsets (ignored with --labels_per_class=all)."
    )
    flags.DEFINE_boolean(
        "train_on_synthetic",
        False,
        "Train classifiers on the images of a conditional run, and test them on real images.",
    )
    common.define_data_flags()


def run() -> None:
    run = common.find_run()
    if FLAGS.num < MIN_IMAGES:
        raise UserError(
            f"--num: expected at least {MIN_IMAGES}, which the metrics need. Received: {FLAGS.num}. Papers use "
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
    print(f"Compared with the {evaluation.facts['real_split']} split. 'real images' is the score of training images.\n")
    print(format_table(evaluation.figures))
    for name, reason in evaluation.left_out.items():
        print(f"left out: {name}: {reason}")
    for result in evaluation.probes:
        labels = f"{result.labels_per_class} labels per class" if result.labels_per_class else "all labels"
        interval = f" +- {result.interval:.2%} (95%, {result.draws} draws)" if result.interval is not None else ""
        print(f"probe, {labels}, {result.features}: accuracy {result.accuracy:.2%}{interval}, C={result.penalty:g}")
    for synthetic in evaluation.synthetic:
        trained = f"{synthetic.classifier} trained on {synthetic.trained_on}"
        print(f"{trained}: accuracy {synthetic.accuracy:.2%} on real images")
    print(f"\nWrote {write_json(evaluation, run)}\n      {write_report(evaluation, run)}")


def _parse_labels(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word == "all" or (word.isdecimal() and int(word) > 1) for word in words):
        raise UserError(
            f"--labels_per_class: expected numbers from 2 on, such as 10,100,1000, or all. Received: {text!r}"
        )
    return tuple(0 if word == "all" else int(word) for word in words)
