"""directions: finds a direction along which a measured value grows, and checks that it does."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.classes import Classes, find_classes, load_classifier
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.panels import label_rows
from dcgan_tf.errors import UserError, printable
from dcgan_tf.generation.measures import MEASURES, UNITS
from dcgan_tf.generation.source import Source
from dcgan_tf.generation.vectors import name_of_class

POSITIONS = np.arange(-3, 4)
SHOWN_SEEDS = range(6)

Measure = Callable[[np.ndarray], np.ndarray]


class _Measured(NamedTuple):
    """The value that grows along a direction.

    Attributes:
        value: Name of the value.
        unit: Unit of the value.
        shown: Computes the values of images.
        fitted_value: Name of the value to which the direction is fitted.
        fitted: Computes these values of images.
        decimals: Decimals of the mean value.
    """

    value: str
    unit: str
    shown: Measure
    fitted_value: str
    fitted: Measure
    decimals: int


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_enum("measure", "thickness", list(MEASURES), "Value to measure in the pixels of bright strokes.")
    flags.DEFINE_string(
        "class",
        "",
        "Class, by name or number, whose probability is measured instead of --measure. The classifier is that of the "
        "data set or of --features_from.",
    )
    flags.DEFINE_integer("samples", 4000, "Number of images to which the direction is fitted.")
    flags.DEFINE_integer(
        "test_samples", 256, "Number of other images, from seed 0 on, on which the direction is measured."
    )
    common.define_label_flag()
    common.define_classifier_flags()
    common.define_data_flags()
    common.define_out_flag(
        "", "PNG file of six images moved along the direction. Default: the direction's name with .png."
    )


def run() -> None:
    source = common.find_source()
    fewest = 2 * (source.config.latent_dim + 1)
    if not fewest <= FLAGS.samples <= common.MAX_SEEDS:
        raise UserError(
            f"--samples: expected from {fewest}, for a latent of {source.config.latent_dim} numbers, to "
            f"{common.MAX_SEEDS}. Received: {FLAGS.samples}"
        )
    common.at_least("test_samples", len(SHOWN_SEEDS))
    wanted = _wanted_class(source)
    name = FLAGS.measure if wanted is None else name_of_class(wanted[0].names, wanted[1])
    out = common.png_path(FLAGS.out or f"{name}.png")
    label = common.required_label(source)

    generator = common.load(source)
    from dcgan_tf.generation.directions import FIRST_SEED, fit_direction, measure_along
    from dcgan_tf.generation.vectors import Vector, changing_vectors
    from dcgan_tf.metrics.arrays import standard_error

    common.open_vectors(source, generator)  # Fails before the work, not after it
    measured = _measure(source, wanted)

    def generate(z: np.ndarray) -> np.ndarray:
        return generator.decode(z, generator.repeat_label(label, len(z)))

    z = generator.latents(range(FIRST_SEED, FIRST_SEED + FLAGS.samples))
    fit = fit_direction(z, measured.fitted(generate(z)))
    test_z = generator.latents(range(FLAGS.test_samples))
    values = measure_along(generate, measured.shown, test_z, fit.vector, POSITIONS, f"measuring {name}")
    print(
        f"{name}: a linear function of z explains {fit.explained:.0%} of the variance of the {measured.fitted_value} "
        f"(leave-one-out over {FLAGS.samples} images)"
    )
    print(f"position  mean {measured.value} of {FLAGS.test_samples} other images{measured.unit}")
    digits = measured.decimals
    for position, at_position in zip(POSITIONS, values, strict=True):
        print(f"{position:+8d}  {at_position.mean():.{digits}f} +- {standard_error(at_position):.{digits}f}")
    print(f"In single images, it grows in {(np.diff(values, axis=0) > 0).mean():.1%} of the steps between positions")
    if not (np.diff(values.mean(1)) > 0).all():
        raise UserError(
            f"the mean {measured.value} does not grow at every step along the direction, so the direction was not saved"
        )
    shown = test_z[: len(SHOWN_SEEDS), None] + POSITIONS[None, :, None].astype(np.float32) * fit.vector
    images = generate(shown.reshape(-1, generator.latent_dim))
    out.parent.mkdir(parents=True, exist_ok=True)
    captions = [
        f"{position:+d}: {mean:.{digits - 1}f}" for position, mean in zip(POSITIONS, values.mean(1), strict=True)
    ]
    save_png(label_rows(images, [f"seed {seed}" for seed in SHOWN_SEEDS], captions), out)
    path = common.vectors_path(source)
    origin = f"direction fitted to the {measured.fitted_value} of {FLAGS.samples} images"
    with changing_vectors(path, generator.digest, generator.latent_dim) as file:
        file.add(name, Vector(fit.vector, origin, label=label))
    print(f"Saved as '{name}' in {path}; picture in {out}")


def _wanted_class(source: Source) -> tuple[Classes, int] | None:
    text = FLAGS["class"].value
    if not text:
        if FLAGS.features_from or FLAGS.resize:
            raise UserError("--features_from and --resize have no effect without --class: remove them")
        return None
    if FLAGS["measure"].present:
        raise UserError("--measure and --class name two things to measure. Give one of them")
    classes = find_classes(source, "--class")
    return classes, classes.number("class", text)


def _measure(source: Source, wanted: tuple[Classes, int] | None) -> _Measured:
    if wanted is None:
        name, measure = FLAGS.measure, MEASURES[FLAGS.measure]
        return _Measured(name, f", {UNITS[name]}", measure, name, measure, decimals=2)
    from dcgan_tf.metrics.odds import log_odds, probability

    classes, number = wanted
    name = printable(classes.names[number])
    logits = load_classifier(source, classes)
    return _Measured(
        f"probability of {name}",
        "",
        lambda images: probability(logits(images), number),
        f"log odds of {name}",
        lambda images: log_odds(logits(images), number),
        decimals=3,
    )
