"""vectors: averages exemplars, picked by seed or proposed, into a named vector; merges files; lists what there is."""

import pathlib
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.errors import UserError, printable
from dcgan_tf.generation.exemplars import PROPOSALS, SURE, best_rows
from dcgan_tf.generation.source import Source

if TYPE_CHECKING:
    from dcgan_tf.generation.generator import Generator

TYPICAL = "typical"
ROWS = 256


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_string("name", "", "Name of the vector to make, such as thick. Without it, the vectors are listed.")
    flags.DEFINE_string("seeds", "", "The exemplars, such as 3,17,40: images that show what the vector shall mean.")
    flags.DEFINE_enum(
        "propose",
        None,
        [*PROPOSALS, TYPICAL],
        "In place of --seeds: take those that show it most. thick to upright are measured in the strokes' pixels; "
        "typical: of which the data set's classifier is surest that they are of the class --of, or, of a conditional "
        "run, of the class --label.",
    )
    flags.DEFINE_integer("count", 3, "Exemplars that are proposed.")
    flags.DEFINE_integer("candidates", 1024, "They are proposed from the seeds 0 to this.")
    flags.DEFINE_string("of", "", "Propose images of one class only, by the data set's classifier: its name or number.")
    command_line.define_path("merge", "", "Take over the vectors of another file of the same run and checkpoint.")
    common.define_label_flag()
    common.define_data_flags()


def run() -> None:
    source = common.find_source()
    ways = [way for way in ("seeds", "propose", "merge") if FLAGS[way].present]
    if ways not in ([["seeds"], ["propose"]] if FLAGS.name else [["merge"], []]):
        raise UserError(
            "expected --name with --seeds or with --propose; or --merge alone; or none, to list the vectors"
        )
    for name in ("count", "candidates", "of"):
        if FLAGS[name].present and ways != ["propose"]:
            raise UserError(f"--{name}: has an effect with --propose only. Leave it out")
    seeds = common.parse_seeds(FLAGS.seeds) if ways == ["seeds"] else []
    label = common.required_label(source) if FLAGS.name else None
    wanted_class = _wanted_class(source, label)
    for name in ("count", "candidates"):
        common.at_least(name, 1)

    generator = common.load(source)
    from dcgan_tf.generation.vectors import Vector, load_vectors

    path = common.vectors_path(source)
    file = common.open_vectors(source, generator)
    if ways == ["merge"]:
        other = pathlib.Path(FLAGS.merge)
        if not other.is_file():
            raise UserError(f"--merge: expected a file of vectors. Received: '{other}'")
        new = file.merge(load_vectors(other, generator.digest, generator.latent_dim))
        file.save(path)
        print(f"Took {', '.join(new) or 'nothing new'} from {other} into {path}")
    elif FLAGS.name:
        origin = "mean of exemplars"
        if ways == ["propose"]:
            seeds = _propose(source, generator, label, wanted_class)
            of = "" if wanted_class is None else f" of class {source.config.class_names[wanted_class]}"
            origin += f", proposed as {FLAGS.propose}{of} from seeds 0 to {FLAGS.candidates - 1}"
        file.add(FLAGS.name, Vector(generator.latents(seeds).mean(0), origin, tuple(seeds), label))
        file.save(path)
        print(f"Kept the mean of the seeds {', '.join(map(str, seeds))} as '{FLAGS.name}' in {path}")
    else:
        for name, vector in file.vectors.items():
            exemplars = f": seeds {', '.join(map(str, vector.seeds))}" if vector.seeds else ""
            print(printable(f"{name}: {vector.origin}{exemplars}"))
        print(f"{len(file.vectors)} vectors in {path}")


def _wanted_class(source: Source, label: int | None) -> int | None:
    """The class that the classifier shall be sure of: --of; typical images of a conditional run are of --label."""
    names = source.config.class_names
    if source.config.label_count:
        if FLAGS.of:
            raise UserError("--of: a conditional run makes images of the class --label. Leave it out")
        return label if FLAGS.propose == TYPICAL else None
    if not FLAGS.of and FLAGS.propose != TYPICAL:
        return None
    if not names:
        flag = "--of" if FLAGS.of else f"--propose={TYPICAL}"
        raise UserError(f"{flag}: {source.config.dataset} has no classes, so there is no classifier of them")
    if not FLAGS.of:
        raise UserError(f"--propose={TYPICAL}: expected a class, such as --of={names[0]}")
    if FLAGS.of in names:
        return names.index(FLAGS.of)
    if FLAGS.of.isascii() and FLAGS.of.isdigit() and int(FLAGS.of) < len(names):
        return int(FLAGS.of)
    raise UserError(
        f"--of: expected a class of {source.config.dataset}: {', '.join(names[:10])}"
        f"{', ...' if len(names) > 10 else ''}. Received: {FLAGS.of!r}"
    )


def _propose(source: Source, generator: "Generator", label: int | None, wanted_class: int | None) -> list[int]:
    images = generator.sample(range(FLAGS.candidates), labels=generator.repeat_label(label, FLAGS.candidates))
    allowed = None
    if wanted_class is not None:
        probabilities = _classify(source, images)[:, wanted_class]
        allowed = probabilities >= SURE
    scores = probabilities if FLAGS.propose == TYPICAL else PROPOSALS[FLAGS.propose](images)
    seeds = best_rows(scores, FLAGS.count, allowed).tolist()
    if len(seeds) < FLAGS.count:
        raise UserError(f"--count: only {len(seeds)} of the {FLAGS.candidates} candidates are surely of that class")
    return seeds


def _classify(source: Source, images: np.ndarray) -> np.ndarray:
    """Probabilities float [N, classes] by the classifier of the data set."""
    from dcgan_tf.evaluation.classifier import load_or_train_classifier

    network = load_or_train_classifier(common.data_config(source)).network
    parts = [images[start : start + ROWS] for start in range(0, len(images), ROWS)]
    logits = np.concatenate([np.asarray(network(part, training=False)["logits"]) for part in parts])
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)
