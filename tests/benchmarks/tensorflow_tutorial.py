"""TensorFlow's DCGAN tutorial as a program of the benchmark of quality, from its published settings.

python -m dcgan_tf quality --results=quality.jsonl --name="TensorFlow tutorial"
--program="python -m tests.benchmarks.tensorflow_tutorial". For gray images of 28x28 pixels, as published.

Networks: see `tensorflow_step`. Batches of 256 from a shuffled `tf.data` pipeline, latents of 100, Adam with 1e-4 and
Keras's other defaults, cross-entropy on logits, one pass of D on the fakes for both updates. Samples come from the
generator itself, with `training=False`.
"""

import numpy as np
import tensorflow as tf

from tests.benchmarks.reference_program import parse_arguments, train_to_marks
from tests.benchmarks.tensorflow_step import BATCH_SIZE, LATENTS, build_discriminator, build_generator, make_train_step

LEARNING_RATE = 1e-4
SAMPLES_AT_ONCE = 500


def main() -> None:
    options = parse_arguments()
    images = np.load(options.images)
    if images.shape[1:] != (28, 28, 1):
        raise SystemExit(f"error: expected images of 28x28x1. Received: {images.shape}")
    tf.keras.utils.set_random_seed(options.seed)
    normalized = (images.astype(np.float32) - 127.5) / 127.5
    dataset = tf.data.Dataset.from_tensor_slices(normalized).shuffle(len(normalized)).batch(BATCH_SIZE)
    batches = iter(dataset.repeat())
    generator, discriminator = build_generator(), build_discriminator()
    optimizers = [tf.keras.optimizers.Adam(LEARNING_RATE) for _ in range(2)]
    train_step = make_train_step(generator, discriminator, *optimizers)

    def sample(count: int) -> np.ndarray:
        parts = [
            generator(tf.random.normal([SAMPLES_AT_ONCE, LATENTS]), training=False).numpy()
            for _ in range(-(-count // SAMPLES_AT_ONCE))
        ]
        return np.clip(np.rint(np.concatenate(parts)[:count] * 127.5 + 127.5), 0, 255).astype(np.uint8)

    train_to_marks(options, lambda: float(train_step(next(batches))), sample)


if __name__ == "__main__":
    main()
