"""What the actions share: flags for the generator, seeds, classes and files."""

import pathlib
import re
from typing import TYPE_CHECKING

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.config.sections.data import OWN_PICTURES
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import Source, open_run, open_saved_model, pretrained_names
from dcgan_tf.progress import logger
from dcgan_tf.runs import run_directory

if TYPE_CHECKING:
    from dcgan_tf.generation.generator import Generator
    from dcgan_tf.generation.vectors import VectorFile

FLAGS = flags.FLAGS
BUNDLED = "mnist"  # To try the actions before any training
MAX_SEED = 2**63
MAX_SEEDS = 100_000


def define_source_flags() -> None:
    """Defines --run_dir, --checkpoint and --saved_model."""
    command_line.define_path("run_dir", "", "Folder of the run to use.")
    flags.DEFINE_string("checkpoint", "best", "Checkpoint of the run: best, latest, or a step that has one.")
    command_line.define_path(
        "saved_model",
        "",
        "Exported SavedModel to use instead of a run, or the folder of its versions. Default, without --run_dir: "
        f"{BUNDLED}, the bundled generator.",
    )


def define_out_flag(default: str, description: str) -> None:
    """Defines --out."""
    command_line.define_path("out", default, description)


def define_label_flag() -> None:
    """Defines --label, for actions that make images of one class."""
    flags.DEFINE_string("label", "", "Class of the images of a conditional run: its name or number.")


def define_vectors_flag() -> None:
    """Defines --vectors."""
    command_line.define_path(
        "vectors",
        "",
        "File of named vectors. Default: vectors.json in the run's folder; with --saved_model, in the current folder.",
    )


def define_data_flags() -> None:
    """Defines --data_dir, --manual_dir and --cache_dir, for commands that read the data set, which may have moved."""
    default = "if it has moved since training. Default: as in the run's settings. Exports do not record it."
    command_line.define_path("data_dir", "", f"Folder of the data set, {default}")
    command_line.define_path("manual_dir", "", f"Folder of the data set's original files, {default}")
    command_line.define_path("cache_dir", "", f"Folder of the data set's prepared images, {default}")


def define_classifier_flags() -> None:
    """Defines --features_from and --resize, for commands that use the classifier of another data set."""
    command_line.define_path(
        "features_from",
        "",
        "Use the classifier of another labeled data set: a folder of pictures with one subfolder per class, or the "
        "folder of a run, whose data is used. The classifier is trained once.",
    )
    flags.DEFINE_boolean(
        "resize", False, "With --features_from: resize its pictures to the size of the model's images."
    )


def typed_folders() -> dict[str, str]:
    """The folders of the data set that the user typed."""
    return {
        name: str(FLAGS[name].value) for name in run_directory.DATA_FOLDERS if name in FLAGS and FLAGS[name].present
    }


def data_config(source: Source) -> Config:
    """The source's settings, with the folders of its data set that the user typed. A run stores these folders.

    Raises:
        UserError: The folders contain other data than the run's, or the folder of an export's data is not given.
    """
    folders = typed_folders()
    if source.run is None:
        config = make_config(dict(folders), resumed=source.config) if folders else source.config
        if config.dataset in OWN_PICTURES and not config.data_dir:
            raise UserError("--data_dir: an export does not record where the pictures are. Give their folder")
        return config
    run = run_directory.load_run(source.directory, folders)
    keep_typed_folders(run)
    return run.config


def keep_typed_folders(run: run_directory.Run) -> None:
    """Stores the folders that the user typed in the run, after checking that they contain its data."""
    if typed_folders():
        notices.import_tensorflow()  # TensorFlow reads the data sets of TensorFlow Datasets
        from dcgan_tf.data.prepare import prepare

        prepare(run.config)  # Refuses other data
        run_directory.keep_folders(run)


def find_run() -> run_directory.Run:
    """The run that --run_dir names, with the folders of its data that the user typed.

    Raises:
        UserError: The flag is missing, or it names no run.
    """
    _require_run_dir()
    return run_directory.load_run(FLAGS.run_dir, typed_folders())


def find_source(*, needs_images: bool = True) -> Source:
    """The run or export that the flags name. Without such flags, the bundled generator.

    Raises:
        UserError: Two models are named, the named one does not exist, or it makes points where images are needed.
    """
    if bool(FLAGS.run_dir) and bool(FLAGS.saved_model):
        raise UserError("--run_dir and --saved_model name two models. Give one of them")
    if FLAGS.saved_model and FLAGS["checkpoint"].present:
        raise UserError("--checkpoint: an export has one step only. Remove it, or give --run_dir")
    saved_model = FLAGS.saved_model
    if not FLAGS.run_dir and not saved_model:
        if FLAGS["checkpoint"].present or BUNDLED not in pretrained_names():
            _require_run_dir()
        logger.info(f"Using the bundled generator {BUNDLED}. To use your own: --run_dir={_example_run()}")
        saved_model = BUNDLED
    source = open_saved_model(saved_model) if saved_model else open_run(FLAGS.run_dir, FLAGS.checkpoint)
    if needs_images and source.config.draws_points:
        raise UserError(
            f"the samples of --dataset={source.config.dataset} are points, but this action needs images. "
            "To draw points, use the action images"
        )
    return source


def _require_run_dir() -> None:
    if not FLAGS.run_dir:
        raise UserError(f"--run_dir is required, such as --run_dir={_example_run()}")


def _example_run() -> pathlib.Path:
    """The newest run, or a plausible name if there is none."""
    root = run_directory.RUNS_ROOT
    runs = sorted(root.glob(f"*/{run_directory.CONFIG_FILE}"), key=lambda path: path.stat().st_mtime)
    return runs[-1].parent if runs else root / "000-mnist"


def load(source: Source) -> "Generator":
    """Loads the generator of a source. Its results are deterministic, even on a GPU."""
    notices.import_tensorflow()
    import tensorflow as tf

    from dcgan_tf.generation.generator import read_source

    tf.config.experimental.enable_op_determinism()
    return read_source(source)


def parse_seeds(text: str, flag: str = "seeds", at_least: int = 1) -> list[int]:
    """Reads ``3,17,40-49``.

    Raises:
        UserError: The text has another form, or names too few seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < MAX_SEED or last - first >= MAX_SEEDS:
            raise UserError(f"--{flag}: expected seeds from 0 on, such as 3,17,40-49. Received: {text!r}")
        seeds.extend(range(first, last + 1))
    if len(seeds) < at_least:
        raise UserError(f"--{flag}: expected at least {at_least} seeds, such as 3,17,40-49. Received: {text!r}")
    return seeds


def parse_label(source: Source, text: str) -> int | None:
    """The number of a class given by name or number; None if nothing was typed.

    Raises:
        UserError: There is no such class.
    """
    names = source.config.class_names[: source.config.label_count]
    if not text:
        return None
    if not names:
        raise UserError(f"--label: '{source.directory}' is not conditional. Remove it")
    if text in names:
        return names.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(names):
        return int(text)
    raise UserError(
        f"--label: expected a class ({', '.join(names[:10])}{', ...' if len(names) > 10 else ''}) or a number from 0 "
        f"to {len(names) - 1}. Received: {text!r}"
    )


def required_label(source: Source) -> int | None:
    """The class of --label, which is required for a conditional run; None for any other run."""
    label = parse_label(source, FLAGS.label)
    if source.config.label_count and label is None:
        raise UserError(
            f"--label: '{source.directory}' is conditional. Give a class, such as "
            f"--label={source.config.class_names[0]}"
        )
    return label


def png_path(text: str, flag: str = "out") -> pathlib.Path:
    """The path of a file that ends in .png. Its folder need not exist yet."""
    path = pathlib.Path(text)
    if path.suffix.lower() != ".png" or path.is_dir():
        raise UserError(f"--{flag}: expected a file that ends in .png. Received: '{path}'")
    return path


def at_least(flag: str, least: float) -> None:
    """Raises UserError unless the flag has at least this value. NaN is refused, too."""
    if not getattr(FLAGS, flag) >= least:
        raise UserError(f"--{flag}: expected at least {least}. Received: {getattr(FLAGS, flag)}")


def vectors_path(source: Source) -> pathlib.Path:
    """The path of the file of named vectors."""
    if FLAGS.vectors:
        return pathlib.Path(FLAGS.vectors)
    return source.directory / "vectors.json" if source.run else pathlib.Path("vectors.json")


def open_vectors(source: Source, generator: "Generator") -> "VectorFile":
    """Reads the file of named vectors, which must belong to this generator."""
    from dcgan_tf.generation.vectors import load_vectors

    return load_vectors(vectors_path(source), generator.digest, generator.latent_dim)
