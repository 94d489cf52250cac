"""Evaluates a run, or any set of images.

A run, with the images it was trained on: python -m dcgan_tf evaluate --run_dir=runs/000-mnist

Any images, compared with any others: python -m dcgan_tf evaluate --generated=samples.npy --real=mnist:test

--generated and --real each name a folder or .zip file of pictures, an .npy or .npz file with an array uint8
[N, height, width, channels], the folder of a run or of an export, or a data set and its split, such as mnist:test.
"""

import contextlib
import dataclasses
import json
import pathlib
import sys
from typing import TYPE_CHECKING

from absl import flags

from dcgan_tf import files, notices
from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.errors import UserError
from dcgan_tf.runs.run_directory import CONFIG_FILE

if TYPE_CHECKING:
    from dcgan_tf.evaluation.evaluator import Evaluation
    from dcgan_tf.evaluation.judge import NetworkOptions

MIN_IMAGES = 200
MAX_SEED = 2**62
STANDARD_OUTPUT = "-"
# Flags that apply only to a run and its own data, and flags that apply only to two sets of images.
OF_A_RUN = ("probe", "labels_per_class", "draws", "train_on_synthetic")
OF_TWO_SETS = ("image_size", "crop_size", "save_statistics")

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path(
        "run_dir", "", "Folder of the run to evaluate. Without --real, it is compared with its own data."
    )
    command_line.define_path("generated", "", "Images to evaluate, if they are not those of --run_dir.")
    command_line.define_path(
        "real", "", "Images to compare with, or a file from --save_statistics. Default: the held-out split of the run."
    )
    flags.DEFINE_string(
        "image_size",
        "auto",
        "With --real: size in pixels to which the real pictures are resized, such as 64. auto: their own size.",
    )
    flags.DEFINE_integer(
        "crop_size",
        0,
        "With --real: center-crop each real picture to a square of this many pixels first. 0: no crop.",
        lower_bound=0,
    )
    command_line.define_path(
        "save_statistics",
        "",
        "With --real: save the features of the real images in this .npz file, to be used as --real later.",
    )
    command_line.define_path(
        "json",
        "",
        "JSON file to write the metrics to. With -, only the JSON is printed. A run's evaluation.json is always "
        "written.",
    )
    flags.DEFINE_string("checkpoint", "best", "Checkpoint to evaluate: best, latest, or a step that has one.")
    flags.DEFINE_integer(
        "num",
        10_000,
        "Number of generated images, and at most as many real ones; fewer if there are fewer training images. All "
        "images in a file are used unless this is given.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the first generated image.")
    command_line.define_path(
        "inception_weights",
        "",
        "Also measure with Inception v3 from this file: the 2015 weights of FID, as a frozen graph (.pb) or as "
        "pytorch-fid's file (.pth); or Keras's ImageNet weights without the top layer (.h5), which do not give FID.",
    )
    flags.DEFINE_enum(
        "inception_resizer",
        "",
        ["", "tensorflow", "pytorch", "clean"],
        "How images are resized for --inception_weights. tensorflow: like the 2015 graph and torch-fidelity. pytorch: "
        "like pytorch-fid. clean: like clean-fid. Default: tensorflow for .pb, pytorch for .pth, clean for .h5.",
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
    _check_flags()
    evaluate = _evaluate_sets if FLAGS.real else _evaluate_run
    if FLAGS.json != STANDARD_OUTPUT:
        evaluation, written = evaluate()
        if FLAGS.json:
            written.append(files.write_json(pathlib.Path(FLAGS.json), evaluation.as_json()))
        if written:
            print("\nWrote " + "\n      ".join(map(str, written)))
        return
    with contextlib.redirect_stdout(sys.stderr):
        evaluation, _ = evaluate()
    print(json.dumps(evaluation.as_json(), indent=2))


def _check_flags() -> None:
    if FLAGS.run_dir and FLAGS.generated:
        raise UserError("--run_dir and --generated name two sets of generated images. Give one of them")
    if FLAGS.generated and not FLAGS.real:
        if not (pathlib.Path(FLAGS.generated) / CONFIG_FILE).is_file():
            raise UserError("--real: name the images to compare with. Only a run (--run_dir=RUN) has images of its own")
        FLAGS.run_dir = FLAGS.generated
    without_effect, because = (OF_A_RUN, "with") if FLAGS.real else (OF_TWO_SETS, "without")
    for name in without_effect:
        if FLAGS[name].present:
            raise UserError(f"--{name} has no effect {because} --real: remove it")
    if FLAGS.real and not (FLAGS.run_dir or FLAGS.generated):
        raise UserError("--generated: name the images to evaluate")
    if FLAGS.num < MIN_IMAGES:
        raise UserError(
            f"--num: expected at least {MIN_IMAGES}, which the metrics need. Received: {FLAGS.num}. Papers use "
            "10,000 or 50,000"
        )
    if not 0 <= FLAGS.seed <= MAX_SEED:
        raise UserError(f"--seed: expected from 0 to {MAX_SEED}. Received: {FLAGS.seed}")
    if FLAGS.draws < 1:
        raise UserError(f"--draws: expected at least 1. Received: {FLAGS.draws}")
    for name in ("json", "save_statistics"):
        path = pathlib.Path(str(FLAGS[name].value))
        if FLAGS[name].value not in ("", STANDARD_OUTPUT) and (path.is_dir() or not path.parent.is_dir()):
            raise UserError(f"--{name}: expected a file in an existing folder. Received: '{path}'")
        for other in {"generated", "real", "inception_weights", "features_from", "json", "save_statistics"} - {name}:
            if FLAGS[name].value and path.resolve() == pathlib.Path(str(FLAGS[other].value)).resolve():
                raise UserError(f"--{name} and --{other} name the same file: '{path}'. Give another one to write to")
    if FLAGS.save_statistics and pathlib.Path(FLAGS.save_statistics).suffix != ".npz":
        raise UserError(f"--save_statistics: expected a file that ends in .npz. Received: '{FLAGS.save_statistics}'")


def _network_options() -> "NetworkOptions":
    from dcgan_tf.evaluation.judge import NetworkOptions

    return NetworkOptions(FLAGS.inception_weights, FLAGS.inception_resizer, FLAGS.features_from, FLAGS.resize)


def _evaluate_sets() -> "tuple[Evaluation, list[pathlib.Path]]":
    """Prints the metrics of two sets of images. Returns the evaluation and the files that were written."""
    notices.import_tensorflow()

    from dcgan_tf.evaluation.evaluator import evaluate_sets
    from dcgan_tf.evaluation.judge import networks_for
    from dcgan_tf.evaluation.sets import ImageSet
    from dcgan_tf.evaluation.sides import SideOptions, open_sides
    from dcgan_tf.evaluation.statistics import save_statistics

    options = SideOptions(
        num=FLAGS.num if FLAGS["num"].present else None,
        seed=FLAGS.seed,
        checkpoint=FLAGS.checkpoint,
        image_size=FLAGS.image_size,
        crop_size=FLAGS.crop_size,
        resize=FLAGS.resize,
        folders=common.typed_folders(),
    )
    generated, real = open_sides(FLAGS.generated or FLAGS.run_dir, FLAGS.real, options)
    if FLAGS.save_statistics and not isinstance(real, ImageSet):
        raise UserError("--save_statistics: --real is a file of saved statistics already. Remove --save_statistics")
    networks = networks_for(real, _network_options(), options.folders)
    written = []
    if isinstance(real, ImageSet) and FLAGS.save_statistics:
        written.append(save_statistics(pathlib.Path(FLAGS.save_statistics), networks, real))
    evaluation = evaluate_sets(networks, generated, real)
    print(f"\nGenerated: {generated.name}\nReal: {real.name}\n")
    _print_metrics(evaluation)
    return evaluation, written


def _evaluate_run() -> "tuple[Evaluation, list[pathlib.Path]]":
    """Prints the metrics of a run with its own data. Returns the evaluation and the files that were written."""
    run = common.find_run()
    labels_per_class = _parse_labels(FLAGS.labels_per_class)
    notices.import_tensorflow()
    common.keep_typed_folders(run)

    from dcgan_tf.evaluation.evaluator import Options, evaluate_run
    from dcgan_tf.evaluation.report import write_json, write_report

    options = Options(
        checkpoint=FLAGS.checkpoint,
        num=FLAGS.num,
        seed=FLAGS.seed,
        **dataclasses.asdict(_network_options()),
        probe=FLAGS.probe,
        labels_per_class=labels_per_class,
        draws=FLAGS.draws,
        synthetic=FLAGS.train_on_synthetic,
    )
    evaluation = evaluate_run(run, options)
    print(f"\n{run.directory}, step {evaluation.facts['checkpoint_step']}; {evaluation.facts['data']}")
    print(f"Compared with the {evaluation.facts['real_split']} split. 'real images' is the score of training images.\n")
    _print_metrics(evaluation)
    for result in evaluation.probes:
        labels = f"{result.labels_per_class} labels per class" if result.labels_per_class else "all labels"
        interval = f" +- {result.interval:.2%} (95%, {result.draws} draws)" if result.interval is not None else ""
        print(f"probe, {labels}, {result.features}: accuracy {result.accuracy:.2%}{interval}, C={result.penalty:g}")
    for synthetic in evaluation.synthetic:
        trained = f"{synthetic.classifier} trained on {synthetic.trained_on}"
        print(f"{trained}: accuracy {synthetic.accuracy:.2%} on real images")
    return evaluation, [write_json(evaluation, run), write_report(evaluation, run)]


def _print_metrics(evaluation: "Evaluation") -> None:
    from dcgan_tf.evaluation.figures import format_table
    from dcgan_tf.evaluation.per_class import format_classes

    print(format_table(evaluation.figures))
    for name, reason in evaluation.left_out.items():
        print(f"left out: {name}: {reason}")
    if evaluation.classes is not None:
        print(f"\n{format_classes(evaluation.classes)}")


def _parse_labels(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word == "all" or (word.isdecimal() and int(word) > 1) for word in words):
        raise UserError(
            f"--labels_per_class: expected numbers from 2 on, such as 10,100,1000, or all. Received: {text!r}"
        )
    return tuple(0 if word == "all" else int(word) for word in words)
