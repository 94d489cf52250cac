"""The same latent in several batches: BatchNorm with the batch's own statistics and with those kept from training."""

import numpy as np
import tensorflow as tf

from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.panels import label_rows
from dcgan_tf.generation.sampling import seed_latents
from dcgan_tf.models.pixels import to_samples
from docs.figures.drawing import IMAGES
from docs.figures.training import train

SETTINGS = {
    "dataset": "mnist",
    "blocks": 2,
    "kernel_size": 5,
    "generator_filters": "32",
    "learning_rate_generator": 5e-4,
    "learning_rate_discriminator": 5e-4,
    "steps": 600,
    "penalty": "none",
    "log_every": 200,
    "ema_decay": 0.99,
}
COMPANIONS = 1
BATCHES = 6
SEED = 3


def draw() -> None:
    *_, (gan, _, _) = train(SETTINGS)
    network = gan.ema_generator
    rows = []
    for training in (True, False):
        images = []
        for batch in range(BATCHES):
            others = range(100 + COMPANIONS * batch, 100 + COMPANIONS * (batch + 1))
            z = tf.constant(seed_latents([SEED, *others], gan.config.latent_dim))
            statistics = [tf.identity(variable) for variable in network.non_trainable_variables]
            images.append(to_samples(network(z, training=training)).numpy()[0])
            for variable, value in zip(network.non_trainable_variables, statistics, strict=True):
                variable.assign(value)
        rows.append(np.stack(images))
        spread = np.ptp(rows[-1].astype(int), axis=0).max()
        print(f"training={training}: a pixel of the same latent differs by up to {spread} of 255 between batches")
    difference = np.clip(128 + rows[0].astype(int) - rows[1], 0, 255).astype(np.uint8)
    captions = ["training", "inference", "difference"]
    names = [f"batch {batch + 1}" for batch in range(BATCHES)]
    IMAGES.mkdir(exist_ok=True)
    save_png(label_rows(np.concatenate([*rows, difference]), captions, names), IMAGES / "batch_norm.png")
