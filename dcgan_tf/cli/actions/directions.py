"""directions: finds the direction along which a measured value grows, and measures whether it does."""

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.panels import label_rows
from dcgan_tf.errors import UserError
from dcgan_tf.generation.measures import MEASURES, UNITS

POSITIONS = np.arange(-3, 4)
SHOWN_SEEDS = range(6)


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_enum("measure", "thickness", list(MEASURES), "What is measured in the pixels of bright strokes.")
    flags.DEFINE_integer("samples", 4000, "Images from which the direction is fitted.")
    flags.DEFINE_integer("test_samples", 256, "Other images, on which it is measured: of the seeds 0, 1 and so on.")
    common.define_label_flag()
    common.define_out_flag("", "The PNG file of six images moved along it. Default: <measure>.png.")


def run() -> None:
    source = common.find_source()
    fewest = 2 * (source.config.latent_dim + 1)
    if not fewest <= FLAGS.samples <= common.MOST_SEEDS:
        raise UserError(
            f"--samples: expected from {fewest}, for a latent of {source.config.latent_dim} numbers, to "
            f"{common.MOST_SEEDS}. Received: {FLAGS.samples}"
        )
    common.at_least("test_samples", len(SHOWN_SEEDS))
    name, unit, measure = FLAGS.measure, UNITS[FLAGS.measure], MEASURES[FLAGS.measure]
    out = common.png_path(FLAGS.out or f"{name}.png")
    label = common.required_label(source)

    generator = common.load(source)
    from dcgan_tf.generation.directions import FIRST_SEED, fit_direction, measure_along
    from dcgan_tf.generation.vectors import Vector
    from dcgan_tf.metrics.arrays import standard_error

    file = common.open_vectors(source, generator)

    def generate(z: np.ndarray) -> np.ndarray:
        return generator.decode(z, generator.repeat_label(label, len(z)))

    z = generator.latents(range(FIRST_SEED, FIRST_SEED + FLAGS.samples))
    fit = fit_direction(z, measure(generate(z)))
    test_z = generator.latents(range(FLAGS.test_samples))
    values = measure_along(generate, measure, test_z, fit.vector, POSITIONS, f"measuring {name}")
    print(
        f"{name}: a linear function of z predicts {fit.explained:.0%} of its variance, each of {FLAGS.samples} images "
        "by a fit to the others"
    )
    print(f"position  mean {name} of {FLAGS.test_samples} other images, {unit}")
    for position, at_position in zip(POSITIONS, values, strict=True):
        print(f"{position:+8d}  {at_position.mean():.2f} +- {standard_error(at_position):.2f}")
    print(f"It grows from one position to the next in {(np.diff(values, axis=0) > 0).mean():.1%} of the single images")
    if not (np.diff(values.mean(1)) > 0).all():
        raise UserError(f"the mean {name} does not grow at every step along the direction, so it was not kept")
    shown = test_z[: len(SHOWN_SEEDS), None] + POSITIONS[None, :, None].astype(np.float32) * fit.vector
    images = generate(shown.reshape(-1, generator.latent_dim))
    out.parent.mkdir(parents=True, exist_ok=True)
    captions = [f"{position:+d}: {mean:.1f}" for position, mean in zip(POSITIONS, values.mean(1), strict=True)]
    save_png(label_rows(images, [f"seed {seed}" for seed in SHOWN_SEEDS], captions), out)
    path = common.vectors_path(source)
    file.add(name, Vector(fit.vector, f"direction fitted to the {name} of {FLAGS.samples} images", label=label))
    file.save(path)
    print(f"Kept as '{name}' in {path}; picture in {out}")
