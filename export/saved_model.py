"""Exports a run as a SavedModel with named signatures: python -m export.saved_model --run_dir=runs/000-mnist"""

import pathlib
import shutil

import keras
import tensorflow as tf
from absl import flags

from dcgan_tf import command_line, runs
from dcgan_tf.checkpoints import load_gan
from dcgan_tf.errors import UserError
from dcgan_tf.gan import GAN, to_float, to_uint8
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.sampling import latents_from_seeds


def export_gan(gan: GAN, directory: pathlib.Path) -> pathlib.Path:
    """Writes ``directory/<version>/``, the next free version, for TensorFlow Serving.

    Signatures, all batchable row by row:
        serving_default: z float32 [N, latent_dim] -> images uint8 [N, height, width, channels].
        sample: seed int64 [N] -> images, z. The same seed gives the same image, whatever else is in the batch.
        discriminate: images uint8 -> logits [N], probability [N], features [N, F].

    The generator is the one with averaged weights, and BatchNorm uses its moving statistics.

    Returns:
        The new version's folder, which is whole or absent.

    Raises:
        UserError: it cannot be written.
    """
    generator, discriminator = gan.ema_generator, build_outputs(gan.discriminator)
    latent_dim = gan.config.latent_dim

    def images_from_latents(z: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": to_uint8(generator(z, training=False))}

    def images_from_seeds(seed: tf.Tensor) -> dict[str, tf.Tensor]:
        z = latents_from_seeds(seed, latent_dim)
        return {"images": to_uint8(generator(z, training=False)), "z": z}

    def discriminate(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return discriminator(to_float(images), training=False)

    # tf.saved_model.save of a Keras model loads in Python, but not in TensorFlow Serving's C++ session.
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.track(discriminator)
    for name, function, inputs in (
        ("serving_default", images_from_latents, tf.TensorSpec([None, latent_dim], tf.float32, name="z")),
        ("sample", images_from_seeds, tf.TensorSpec([None], tf.int64, name="seed")),
        ("discriminate", discriminate, tf.TensorSpec((None, *generator.output.shape[1:]), tf.uint8, name="images")),
    ):
        archive.add_endpoint(name, function, input_signature=[inputs])

    version = max((int(p.name) for p in directory.glob("*") if p.name.isdigit()), default=0) + 1
    # TensorFlow Serving ignores names that are no numbers.
    temporary = directory / f".writing-{version}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        archive.write_out(str(temporary), verbose=False)
        temporary.rename(directory / str(version))
    except (tf.errors.OpError, OSError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(f"the export cannot be written to '{directory}': {error}. Make room and repeat") from None
    return directory / str(version)


def main() -> None:
    run = runs.load_run(flags.FLAGS.run_dir)
    gan, step = load_gan(run)
    print(f"Exported step {step} to {export_gan(gan, run.saved_model)}")


if __name__ == "__main__":
    flags.DEFINE_string("run_dir", "", "Folder of the run to export.")
    command_line.run(main)
