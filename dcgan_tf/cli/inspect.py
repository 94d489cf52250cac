"""Inspects a data set without changing it: python -m dcgan_tf inspect --dataset=folder --data_dir=photos"""

import pathlib

import numpy as np
from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.config.sections.data import OWN_PICTURES
from dcgan_tf.data.inspection import describe, examine, sample_classes
from dcgan_tf.data.pictures import Recipe
from dcgan_tf.data.prepare import cache_root, readable_name, resolve
from dcgan_tf.data.sources import find_source
from dcgan_tf.errors import UserError

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_config_flags()
    command_line.define_path(
        "out", "", "PNG file for a sample of the images, as the networks will see them. Default: next to the cache."
    )


def run() -> None:
    out = pathlib.Path(FLAGS.out)
    if FLAGS.out and out.suffix.lower() != ".png":
        raise UserError(f"--out: expected a file that ends in .png. Received: '{out}'")
    config = make_config(command_line.typed_config_values())
    if config.draws_points:
        raise UserError(f"--dataset={config.dataset} consists of points, so there are no pictures to inspect")
    source = find_source(config)
    config = resolve(config, source)
    if source.count_if_known() is None:
        print(
            f"{source.full_name} is not prepared yet. Training prepares it: python train.py --dataset={config.dataset}"
        )
        return
    if config.dataset not in OWN_PICTURES:
        notices.import_tensorflow()  # TensorFlow reads the files of TensorFlow Datasets.
    facts, seconds = examine(source, Recipe.of(config))
    print(describe(source, config, facts, seconds))

    from dcgan_tf.drawing.grids import make_grid, save_png
    from dcgan_tf.drawing.panels import draw_classes

    classes = sample_classes(source, facts)
    rows = [fact.row for fact in facts if fact.row is not None]
    if rows:
        # By default, next to the prepared images.
        out = out if FLAGS.out else cache_root(config) / f"{readable_name(config, source)}-contact_sheet.png"
        out.parent.mkdir(parents=True, exist_ok=True)
        save_png(draw_classes(classes) if classes else make_grid(np.stack(rows)), out)
        print(f"Wrote {out}: a sample of the images as the networks will see them")
