"""A training step of TensorFlow: one side of `speed_comparison`.

python -m tests.benchmarks.tensorflow_step tutorial|dcgan64 float32|bfloat16: the project's training step with its loop
and input pipeline. python -m tests.benchmarks.tensorflow_step keras: the code of TensorFlow's DCGAN tutorial, in which
one pass of D on the fakes serves both updates. keras_in_our_order: the same networks with D's update before G's.
TF_ENABLE_ONEDNN_OPTS turns oneDNN on or off.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

# Read before the package sets its own value.
ONE_DNN = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "as installed")

import dcgan_tf  # noqa: E402, F401  Settles Keras's backend and the log

if ONE_DNN == "as installed":
    os.environ.pop("TF_ENABLE_ONEDNN_OPTS")

import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

BATCH_SIZE = 256
LATENTS = 100
OUR_SETTINGS: dict[str, dict[str, Any]] = {
    "tutorial": {"preset": "tutorial", "channels": "1"},
    "dcgan64": {"preset": "dcgan", "image_size": "64", "channels": "3", "batch_size": 64},
}


def build_generator() -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            layers.Input((LATENTS,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", use_bias=False, activation="tanh"),
        ]
    )


def build_discriminator() -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(64, 5, strides=2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Conv2D(128, 5, strides=2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def make_train_step(
    generator: tf.keras.Model,
    discriminator: tf.keras.Model,
    generator_optimizer: tf.keras.optimizers.Optimizer,
    discriminator_optimizer: tf.keras.optimizers.Optimizer,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The tutorial's step, in which one pass of D over the fakes serves both updates. It returns G's loss."""
    cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function(reduce_retracing=True)
    def train_step(images: tf.Tensor) -> tf.Tensor:
        noise = tf.random.normal((BATCH_SIZE, LATENTS))
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            generated = generator(noise, training=True)
            real_output = discriminator(images, training=True)
            fake_output = discriminator(generated, training=True)
            generator_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
            discriminator_loss = cross_entropy(tf.ones_like(real_output), real_output) + cross_entropy(
                tf.zeros_like(fake_output), fake_output
            )
        gradients = generator_tape.gradient(generator_loss, generator.trainable_variables)
        discriminator_gradients = discriminator_tape.gradient(discriminator_loss, discriminator.trainable_variables)
        generator_optimizer.apply_gradients(zip(gradients, generator.trainable_variables, strict=True))
        discriminator_optimizer.apply_gradients(
            zip(discriminator_gradients, discriminator.trainable_variables, strict=True)
        )
        return generator_loss

    return train_step


def tutorial_step(in_our_order: bool) -> Callable[[], float]:
    generator, discriminator = build_generator(), build_discriminator()
    generator_optimizer, discriminator_optimizer = tf.keras.optimizers.Adam(1e-4), tf.keras.optimizers.Adam(1e-4)
    cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    images = tf.random.uniform((BATCH_SIZE, 28, 28, 1), -1, 1)

    @tf.function
    def train_step_in_our_order(images: tf.Tensor) -> tf.Tensor:
        noise = tf.random.normal((BATCH_SIZE, LATENTS))
        with tf.GradientTape() as generator_tape:
            generated = generator(noise, training=True)
            with generator_tape.stop_recording(), tf.GradientTape() as discriminator_tape:
                real_output = discriminator(images, training=True)
                fake_output = discriminator(generated, training=True)
                loss = cross_entropy(tf.ones_like(real_output), real_output) + cross_entropy(
                    tf.zeros_like(fake_output), fake_output
                )
            with generator_tape.stop_recording():
                gradients = discriminator_tape.gradient(loss, discriminator.trainable_variables)
                discriminator_optimizer.apply_gradients(zip(gradients, discriminator.trainable_variables, strict=True))
            fake_output = discriminator(generated, training=True)
            generator_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
        gradients = generator_tape.gradient(generator_loss, generator.trainable_variables)
        generator_optimizer.apply_gradients(zip(gradients, generator.trainable_variables, strict=True))
        return generator_loss

    networks = generator, discriminator, generator_optimizer, discriminator_optimizer
    step = train_step_in_our_order if in_our_order else make_train_step(*networks)
    return lambda: float(step(images))


def our_step(size: str, dtype: str) -> Callable[[], float]:
    import pathlib
    import tempfile

    from dcgan_tf.benchmarking.workload import make_synthetic_data
    from dcgan_tf.config.making import make_config
    from dcgan_tf.data.batches import make_batches
    from dcgan_tf.training.gan import GAN

    tf.config.experimental.enable_op_determinism()  # As in training
    config = make_config({**OUR_SETTINGS[size], "mixed_precision": dtype == "bfloat16"})
    data = make_synthetic_data(config, pathlib.Path(tempfile.mkdtemp()))
    batches = iter(make_batches(data, config, 0, 10**6))
    gan = GAN(config)
    return lambda: float(gan.train_steps(batches, tf.constant(1))[0]["loss/generator"])


def main() -> None:
    """Answers each line of standard input, a number of steps, with the seconds that they took."""
    kind, *dtype = sys.argv[1:]
    step = our_step(kind, *dtype) if kind in OUR_SETTINGS else tutorial_step(in_our_order=kind == "keras_in_our_order")
    print(f"ready TensorFlow {tf.__version__}, oneDNN {ONE_DNN}", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
