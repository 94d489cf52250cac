"""projector: writes real and generated images for TensorBoard's projector, with features and latents."""

import pathlib

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.errors import UserError, printable

ROWS = 50


def define_flags() -> None:
    common.define_source_flags()
    common.define_data_flags()
    flags.DEFINE_integer("num", 200, "Number of real images, and of generated ones with seeds from 0 on.")
    flags.DEFINE_integer("steps", 100, "Number of optimization steps to find the latents of the real images.")
    flags.DEFINE_boolean("classify", False, "Label the generated images with the data set's classifier.")
    common.define_out_flag(
        "",
        "Folder to write to. Default: tensorboard in the run's folder; with --saved_model, projector in the current "
        "folder.",
    )


def run() -> None:
    source = common.find_source()
    common.at_least("steps", 1)
    from dcgan_tf.generation.projector import MAX_SHEET, write_projector

    most = (MAX_SHEET // max(source.config.height_and_width)) ** 2 // 2
    if not 2 <= FLAGS.num <= most:
        raise UserError(f"--num: expected from 2 to {most}, the capacity of a sprite sheet. Received: {FLAGS.num}")
    if FLAGS.classify and source.config.label_count:
        raise UserError("--classify: the classes of a conditional run's images are known. Remove it")
    out = pathlib.Path(FLAGS.out or (source.run.tensorboard if source.run else "projector"))
    if out.exists() and not out.is_dir():
        raise UserError(f"--out: expected a folder. Received the file '{out}'")
    config = common.data_config(source)

    generator = common.load(source)
    from dcgan_tf.evaluation.features import discriminator_network
    from dcgan_tf.evaluation.splits import open_split, spread_rows
    from dcgan_tf.generation.attention import require_single_images
    from dcgan_tf.generation.projection import optimize
    from dcgan_tf.metrics.arrays import slices

    discriminator = require_single_images(generator.discriminator, config.pack)
    data = open_split(config, config.split)
    rows = spread_rows(len(data.images), FLAGS.num)
    real, real_labels = data.read(rows), data.labels[rows]
    seeds = np.arange(len(real))
    labels = seeds % config.label_count if config.label_count else None
    generated = generator.sample(seeds, labels=labels)
    found = [
        optimize(
            generator.network,
            discriminator,
            real[part],
            real_labels[part] if config.label_count else None,
            steps=FLAGS.steps,
            seed=0,
            feature_weight=0.1,
            description=f"latents of real images {part.start + 1} to {min(part.stop, len(real))} of {len(real)}",
        )[0]
        for part in slices(len(real), ROWS)
    ]
    images = np.concatenate([real, generated])
    features = [
        discriminator_network(discriminator).function(images[rows])[0].numpy() for rows in slices(len(images), ROWS)
    ]
    if FLAGS.classify:
        from dcgan_tf.evaluation.classifier import load_or_train_classifier

        labels = np.argmax(load_or_train_classifier(config).network(generated, training=False)["logits"], 1)
    names = [
        _name(config.class_names, label) for label in (*real_labels, *([-1] * len(real) if labels is None else labels))
    ]
    kinds = ["real"] * len(real) + ["generated"] * len(generated)
    write_projector(
        out,
        {
            "discriminator_features": np.concatenate(features),
            "latents": np.concatenate([*found, generator.latents(seeds)]),
        },
        images,
        {
            "kind_and_class": [f"{kind} {name}".strip() for kind, name in zip(kinds, names, strict=True)],
            "kind": kinds,
            "class": [name or "unknown" for name in names],
        },
    )
    print(f"Wrote {len(images)} images for the projector. To view them: tensorboard --logdir={out}")


def _name(class_names: tuple[str, ...], label: int) -> str:
    return printable(class_names[label]) if 0 <= label < len(class_names) else ""
