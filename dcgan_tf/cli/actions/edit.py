"""edit: adds a sum of named vectors to many images, and measures what this changes and what it preserves."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.classes import find_classes, load_classifier
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.panels import label_rows
from dcgan_tf.errors import UserError, printable
from dcgan_tf.generation.arithmetic import evaluate, parse_expression
from dcgan_tf.generation.exemplars import SURE

if TYPE_CHECKING:
    from dcgan_tf.evaluation.features import FeatureNetwork
    from dcgan_tf.generation.generator import Generator
    from dcgan_tf.generation.vectors import Vector

SHOWN = 8
SEEDS_AT_ONCE = 256


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_string(
        "expression", "", "Sum of named vectors to add to each latent, such as 'smiling - neutral' or '2 * smile'."
    )
    flags.DEFINE_string("class", "", "Class, by name or number, whose probability is measured before and after.")
    flags.DEFINE_string(
        "of",
        "",
        f"Edit only images of this class, to which a classifier gives a probability of at least {SURE:.0%}. Default: "
        f"images whose probability of --class is at most {1 - SURE:.0%}.",
    )
    flags.DEFINE_integer("num", 64, "Number of images to edit.")
    flags.DEFINE_integer("seed", 2**20, "First seed to try; the first images that qualify are edited.")
    flags.DEFINE_integer("candidates", 4096, "Number of seeds to try.")
    common.define_label_flag()
    common.define_classifier_flags()
    common.define_data_flags()
    common.define_out_flag("edit.png", f"PNG file of the first {SHOWN} images, before and after.")


def run() -> None:
    source = common.find_source()
    terms = parse_expression(FLAGS.expression)
    for name, least in (("num", 2), ("candidates", 2), ("seed", 0)):
        common.at_least(name, least)
    if FLAGS.candidates > common.MAX_SEEDS:
        raise UserError(f"--candidates: expected at most {common.MAX_SEEDS}. Received: {FLAGS.candidates}")
    if not FLAGS["class"].value:
        raise UserError("--class is required: the class whose probability is measured")
    classes = find_classes(source, "--class")
    number = classes.number("class", FLAGS["class"].value)
    start_class = classes.number("of", FLAGS.of) if FLAGS.of else None
    out = common.png_path(FLAGS.out)
    label = common.required_label(source)

    from dcgan_tf.metrics.arrays import standard_error
    from dcgan_tf.metrics.identity import identity
    from dcgan_tf.metrics.odds import probability

    generator = common.load(source)
    vectors = common.open_vectors(source, generator).vectors
    move = evaluate(terms, {name: vector.values for name, vector in vectors.items()})
    candidates = _unused_seeds([vectors[name] for _, name in terms])
    logits = load_classifier(source, classes)

    def is_sure(images: np.ndarray) -> np.ndarray:
        if start_class is None:
            return probability(logits(images), number) <= 1 - SURE
        return probability(logits(images), start_class) >= SURE

    start = f"of class {printable(FLAGS.of)}" if FLAGS.of else f"not of class {printable(classes.names[number])}"
    seeds, originals = _first_that(is_sure, candidates, generator, label)
    if len(seeds) < FLAGS.num:
        raise UserError(
            f"--num: only {len(seeds)} of {len(candidates)} candidates are {start} with {SURE:.0%} confidence. Ask "
            "for fewer, or for more --candidates"
        )
    edited = generator.decode(generator.latents(seeds) + move, generator.repeat_label(label, len(seeds)))
    before, after = (probability(logits(pair), number) for pair in (originals, edited))
    class_name = printable(classes.names[number])
    print(f"{FLAGS.expression}, added to {len(seeds)} images that are {start} with {SURE:.0%} confidence")
    for when, values in (("before", before), ("after", after)):
        print(f"mean probability of {class_name} {when}: {values.mean():.3f} +- {standard_error(values):.3f}")
    for network in _feature_networks(generator):
        found = identity(_features(network, originals, "originals"), _features(network, edited, "edited images"))
        ratio, share = found.ratio, found.own_nearest
        print(
            f"{network.name}: an edited image's distance to its original is {ratio.value:.3f} +- "
            f"{ratio.standard_error:.3f} of its distance to the others; the original is the nearest for "
            f"{share.value:.1%} +- {share.standard_error:.1%}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    captions = [f"{old:.0%} to {new:.0%}" for old, new in zip(before[:SHOWN], after[:SHOWN], strict=True)]
    pairs = np.concatenate([originals[:SHOWN], edited[:SHOWN]])
    save_png(label_rows(pairs, ["before", "after"], captions), out)
    print(f"Wrote the seeds {', '.join(map(str, seeds[:SHOWN]))} to {out}")


def _unused_seeds(vectors: "list[Vector]") -> np.ndarray:
    """The candidate seeds, int64, from --seed on, without the seeds from which the vectors were made."""
    from dcgan_tf.generation.directions import FIRST_SEED

    stop = FLAGS.seed + FLAGS.candidates
    if stop > FIRST_SEED:
        raise UserError(
            f"--seed: expected at most {FIRST_SEED - FLAGS.candidates}, because directions are fitted to later seeds"
        )
    used = [seed for vector in vectors for seed in vector.seeds]
    return np.setdiff1d(np.arange(FLAGS.seed, stop), used)


def _first_that(
    is_sure: Callable[[np.ndarray], np.ndarray], candidates: np.ndarray, generator: "Generator", label: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The first --num candidates whose images qualify, or fewer, and these images."""
    seeds, images = np.empty(0, np.int64), np.empty((0, *generator.config.sample_shape), np.uint8)
    for first in range(0, len(candidates), SEEDS_AT_ONCE):
        part = candidates[first : first + SEEDS_AT_ONCE]
        drawn = generator.sample(part, labels=generator.repeat_label(label, len(part)))
        rows = is_sure(drawn)
        seeds, images = np.concatenate([seeds, part[rows]]), np.concatenate([images, drawn[rows]])
        if len(seeds) >= FLAGS.num:
            break
    return seeds[: FLAGS.num], images[: FLAGS.num]


def _feature_networks(generator: "Generator") -> "list[FeatureNetwork]":
    """Random convolutions and, if it judges single images, the run's discriminator."""
    from dcgan_tf.evaluation.features import discriminator_network, random_network

    networks = [random_network(generator.config.sample_shape)]
    if generator.config.pack == 1 and generator.discriminator is not None:
        networks.append(discriminator_network(generator.discriminator))
    return networks


def _features(network: "FeatureNetwork", images: np.ndarray, description: str) -> np.ndarray:
    from dcgan_tf.evaluation.features import compute_features, read_batches

    batches = read_batches(lambda rows: images[rows], np.arange(len(images)))
    return compute_features([network], batches, len(images), f"{network.name}, {description}")[network.name].values
