"""vectors: averages exemplars, given or proposed, into a named vector; merges files; lists the vectors."""

import pathlib
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.classes import Classes, find_classes, load_classifier
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.errors import UserError, printable
from dcgan_tf.generation.exemplars import PROPOSALS, SURE, best_rows
from dcgan_tf.generation.source import Source

if TYPE_CHECKING:
    from dcgan_tf.generation.generator import Generator

TYPICAL = "typical"


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_string(
        "name", "", "Name of the vector to create, such as thick. Without a name, the vectors are listed."
    )
    flags.DEFINE_string(
        "seeds", "", "Seeds of the exemplars, such as 3,17,40: images that show what the vector stands for."
    )
    flags.DEFINE_enum(
        "propose",
        None,
        [*PROPOSALS, TYPICAL],
        "Choose as exemplars the images that show this property most, instead of --seeds. "
        f"{', '.join(PROPOSALS)}: measured in the pixels of the strokes. typical: the images that the classifier "
        "assigns most confidently to the class --of or, for a conditional run, to the class --label.",
    )
    flags.DEFINE_integer("count", 3, "Number of exemplars to propose.")
    flags.DEFINE_integer("candidates", 1024, "Number of seeds from which to propose.")
    flags.DEFINE_integer("first_candidate", 0, "First seed from which to propose.")
    flags.DEFINE_string(
        "of", "", "Propose only images that a classifier assigns to this class, given by name or number."
    )
    command_line.define_path(
        "merge", "", "Import the vectors of another file, which must be of the same run and checkpoint."
    )
    common.define_label_flag()
    common.define_classifier_flags()
    common.define_data_flags()


def run() -> None:
    source = common.find_source()
    ways = [way for way in ("seeds", "propose", "merge") if FLAGS[way].present]
    if ways not in ([["seeds"], ["propose"]] if FLAGS.name else [["merge"], []]):
        raise UserError(
            "expected --name with --seeds or with --propose; or --merge alone; or none of these, to list the vectors"
        )
    for name in ("count", "candidates", "first_candidate", "of", "features_from"):
        if FLAGS[name].present and ways != ["propose"]:
            raise UserError(f"--{name} has no effect without --propose: remove it")
    seeds = common.parse_seeds(FLAGS.seeds) if ways == ["seeds"] else []
    label = common.required_label(source) if FLAGS.name else None
    wanted = _wanted_class(source, label)
    for name, least in (("count", 1), ("candidates", 1), ("first_candidate", 0)):
        common.at_least(name, least)
    for name, most in (("candidates", common.MAX_SEEDS), ("first_candidate", common.MAX_SEED - common.MAX_SEEDS)):
        if getattr(FLAGS, name) > most:
            raise UserError(f"--{name}: expected at most {most}. Received: {getattr(FLAGS, name)}")

    generator = common.load(source)
    from dcgan_tf.generation.vectors import Vector, changing_vectors, load_vectors, refuse_bad_name

    path = common.vectors_path(source)
    # Fail before the work, not after it.
    listed = common.open_vectors(source, generator).vectors
    if FLAGS.name:
        refuse_bad_name(FLAGS.name)
    if ways == ["merge"]:
        other = pathlib.Path(FLAGS.merge)
        if not other.is_file():
            raise UserError(f"--merge: expected a file of vectors. Received: '{other}'")
        imported = load_vectors(other, generator.digest, generator.latent_dim)
        with changing_vectors(path, generator.digest, generator.latent_dim) as file:
            new = file.merge(imported)
        print(f"Imported {', '.join(new) or 'nothing new'} from {other} into {path}")
    elif FLAGS.name:
        origin = "mean of exemplars"
        if ways == ["propose"]:
            seeds = _propose(source, generator, label, wanted)
            of = "" if wanted is None else f" of class {wanted[0].names[wanted[1]]}"
            last = FLAGS.first_candidate + FLAGS.candidates - 1
            origin += f", proposed as {FLAGS.propose}{of} from seeds {FLAGS.first_candidate} to {last}"
        vector = Vector(generator.latents(seeds).mean(0), origin, tuple(seeds), label)
        with changing_vectors(path, generator.digest, generator.latent_dim) as file:
            file.add(FLAGS.name, vector)
        print(f"Saved the mean of the seeds {', '.join(map(str, seeds))} as '{FLAGS.name}' in {path}")
    else:
        for name, vector in listed.items():
            exemplars = f": seeds {', '.join(map(str, vector.seeds))}" if vector.seeds else ""
            print(printable(f"{name}: {vector.origin}{exemplars}"))
        print(f"{len(listed)} vectors in {path}")


def _wanted_class(source: Source, label: int | None) -> tuple[Classes, int] | None:
    """The class to which exemplars must belong: --of; or --label for typical images of a conditional run."""
    if source.config.label_count and not FLAGS.features_from:
        if FLAGS.of:
            raise UserError("--of: a conditional run makes images of the class --label. Remove it")
        if FLAGS.resize:
            raise UserError("--resize has no effect without --features_from: remove it")
        return (find_classes(source, "--label"), label) if FLAGS.propose == TYPICAL and label is not None else None
    if not FLAGS.of and FLAGS.propose != TYPICAL:
        if FLAGS.features_from or FLAGS.resize:
            raise UserError("--features_from and --resize have no effect without --of: remove them")
        return None
    classes = find_classes(source, "--of" if FLAGS.of else f"--propose={TYPICAL}")
    if not FLAGS.of:
        raise UserError(f"--propose={TYPICAL}: expected a class, such as --of={classes.names[0]}")
    return classes, classes.number("of", FLAGS.of)


def _propose(
    source: Source, generator: "Generator", label: int | None, wanted: tuple[Classes, int] | None
) -> list[int]:
    candidates = np.arange(FLAGS.first_candidate, FLAGS.first_candidate + FLAGS.candidates)
    images = generator.sample(candidates, labels=generator.repeat_label(label, FLAGS.candidates))
    allowed = None
    if wanted is not None:
        from dcgan_tf.metrics.odds import probability

        classes, number = wanted
        probabilities = probability(load_classifier(source, classes)(images), number)
        allowed = probabilities >= SURE
    scores = probabilities if FLAGS.propose == TYPICAL else PROPOSALS[FLAGS.propose](images)
    seeds = candidates[best_rows(scores, FLAGS.count, allowed)].tolist()
    if len(seeds) < FLAGS.count:
        raise UserError(
            f"--count: only {len(seeds)} of {FLAGS.candidates} candidates are of that class with {SURE:.0%} confidence"
        )
    return seeds
