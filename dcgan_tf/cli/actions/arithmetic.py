"""arithmetic: sums and differences of named vectors, compared with the same sums of pixels."""

from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.drawing.panels import join_panels
from dcgan_tf.errors import UserError
from dcgan_tf.generation.arithmetic import evaluate, parse_expression, result_and_neighbors

if TYPE_CHECKING:
    from dcgan_tf.generation.generator import Generator
    from dcgan_tf.generation.vectors import Vector


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_string("expression", "", "Sum of named vectors, such as 'thick - thin + 2 * slanted'.")
    flags.DEFINE_integer("seed", 0, "Seed of the noise that makes the eight neighbors of the result.")
    common.define_label_flag()
    common.define_out_flag("arithmetic.png", "PNG file to write.")


def run() -> None:
    source = common.find_source()
    terms = parse_expression(FLAGS.expression)
    [seed] = common.parse_seeds(str(FLAGS.seed), flag="seed")
    out = common.png_path(FLAGS.out)
    label = common.required_label(source)

    generator = common.load(source)
    vectors = common.open_vectors(source, generator).vectors
    z = evaluate(terms, {name: vector.values for name, vector in vectors.items()})
    around = result_and_neighbors(z, seed)
    results = generator.decode(around, generator.repeat_label(label, len(around)))
    panels, pixels = [], np.zeros(results.shape[1:])
    for factor, name in terms:
        vector = vectors[name]
        exemplars = _exemplars(generator, vector)
        caption = f"{'-' if factor < 0 else '+'} {f'{abs(factor):g} * ' if abs(factor) != 1 else ''}{name}\n"
        if vector.is_direction:
            panels.append((f"{caption}a direction", np.full((1, 1, 1), 255, np.uint8)))
            continue
        mean = generator.decode(vector.values[None], generator.repeat_label(vector.label, 1))
        if exemplars is None:
            panels.append((f"{caption}its image", make_grid(mean)))
            continue
        panels.append((f"{caption}exemplars, mean", make_grid(np.concatenate([exemplars, mean]), columns=1)))
        pixels += factor * exemplars.mean(0)
    panels.append(("= in latent space,\nneighbors: noise of +-0.25", make_grid(results, columns=3)))
    if all(vectors[name].seeds for _, name in terms):
        picture = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
        panels.append(("= in pixels", make_grid(picture[None])))
    else:
        print("Directions and projections have no exemplars, so the sum of pixels is left out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(join_panels(panels), out)
    print(f"Wrote {FLAGS.expression} to {out}")


def _exemplars(generator: "Generator", vector: "Vector") -> np.ndarray | None:
    if not vector.seeds:
        return None
    if max(vector.seeds) >= common.MAX_SEED:
        raise UserError("a vector's seeds are too large")
    return generator.sample(vector.seeds, labels=generator.repeat_label(vector.label, len(vector.seeds)))
