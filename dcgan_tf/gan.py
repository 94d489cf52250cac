"""The networks, their optimizers, and the mathematics of one train step."""

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.config import Config
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.discriminator import build_discriminator
from dcgan_tf.models.generator import build_generator
from dcgan_tf.objectives.losses import LOSSES

# What a random draw is for. All noise of step s is a pure function of (seed, s, purpose).
# DROPOUT and the numbers after it are for the dropout layers, one each.
LATENTS, FRESH_LATENTS, DROPOUT = range(3)
PURPOSES = 64

METRICS = (
    "loss/discriminator",
    "loss/discriminator_real",
    "loss/discriminator_fake",
    "loss/generator",
    "prob/real",
    "prob/fake",
    "gradient_norm/discriminator",
    "gradient_norm/generator",
)
Metrics = dict[str, tf.Tensor]


class GAN:
    """A generator and a discriminator in training.

    Attributes:
        generator, discriminator: the networks that are trained.
        ema_generator: the generator whose weights are the moving average of the trained one's, always in float32:
            the one to sample from and to export.
        step: int64 variable, train steps done.

    Args:
        config: complete, without ``auto``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loss = LOSSES[config.loss]
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        generator_seed, discriminator_seed = (int(s) for s in np.random.SeedSequence(config.seed).generate_state(2))
        dtype = "mixed_bfloat16" if config.mixed_precision else "float32"
        self.generator = build_generator(config, seed=generator_seed, dtype=dtype)
        self.ema_generator = build_generator(config, seed=generator_seed)
        self.discriminator = build_discriminator(config, seed=discriminator_seed, dtype=dtype)
        self.generator_optimizer = self._adam(config.learning_rate_generator, self.generator)
        self.discriminator_optimizer = self._adam(config.learning_rate_discriminator, self.discriminator)
        self._dropouts = [layer for layer in self.discriminator.layers if isinstance(layer, keras.layers.Dropout)]

    def checkpoint(self) -> tf.train.Checkpoint:
        """Everything that training depends on. Noise and data need no state: they follow from (seed, step)."""
        return tf.train.Checkpoint(
            step=self.step,
            generator=self.generator,
            discriminator=self.discriminator,
            ema_generator=self.ema_generator,
            generator_optimizer=self.generator_optimizer,
            discriminator_optimizer=self.discriminator_optimizer,
        )

    @tf.function
    def train_steps(self, batches: tf.data.Iterator, count: tf.Tensor) -> tuple[Metrics, dict[str, tf.Tensor]]:
        """Runs ``count`` train steps without a return to Python; fewer where a loss or gradient is not finite.

        Args:
            batches: of images uint8 [batch, height, width, channels] and labels int64 [batch].
            count: int32 scalar, at least 1.

        Returns:
            The scalars of `train_step`, averaged over the steps taken, and the last step's gradient norms.
        """
        step = tf.function(self.train_step, jit_compile=True) if self.config.jit_compile else self.train_step
        # A loop in a graph needs to know what it carries.
        sums = dict.fromkeys(METRICS, 0.0)
        norms = {
            network.name: tf.zeros(len(network.trainable_variables)) for network in (self.discriminator, self.generator)
        }
        taken = 0.0
        for _ in tf.range(count):
            metrics, norms = step(*next(batches))
            sums = {name: sums[name] + metrics[name] for name in sums}
            taken += 1.0
            if not tf.reduce_all(tf.math.is_finite(tf.stack(list(metrics.values())))):
                break
        return {name: total / taken for name, total in sums.items()}, norms

    def train_step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Metrics, dict[str, tf.Tensor]]:
        """One update of the discriminator, then one of the generator (Goodfellow et al. 2014, algorithm 1).

        Args:
            images: uint8 [batch, height, width, channels], the real ones.
            labels: int64 [batch], their classes; a conditional run makes its fakes of the same ones.

        Returns:
            The scalars named in METRICS, and for each network the norms [variables] of its gradients.
        """
        real_images = to_float(images)
        classes = labels if self.config.conditional else None
        self._key_dropouts()
        # Opened first, so that the fakes shown to the discriminator can serve the generator's update too.
        with tf.GradientTape() as generator_tape:
            fake_images = self.generator(with_labels(self._latents(LATENTS, len(images)), classes), training=True)

            with generator_tape.stop_recording(), tf.GradientTape() as discriminator_tape:
                real_logits, fake_logits = self._discriminate(real_images, fake_images, classes)
                real_loss = self._mean(self.loss.discriminator_real(real_logits))
                fake_loss = self._mean(self.loss.discriminator_fake(fake_logits))
                discriminator_loss = real_loss + fake_loss
            with generator_tape.stop_recording():
                variables = self.discriminator.trainable_variables
                discriminator_gradients = discriminator_tape.gradient(discriminator_loss, variables)
                self.discriminator_optimizer.apply(discriminator_gradients, variables)

            if self.config.fresh_noise:
                fake_images = self.generator(
                    with_labels(self._latents(FRESH_LATENTS, len(images)), classes), training=True
                )
            generator_logits = self.discriminator(with_labels(fake_images, classes), training=True)[:, 0]
            generator_loss = self._mean(self.loss.generator(generator_logits))
        variables = self.generator.trainable_variables
        generator_gradients = generator_tape.gradient(generator_loss, variables)
        self.generator_optimizer.apply(generator_gradients, variables)

        self._update_ema()
        self.step.assign_add(1)
        gradient_norms = {
            "discriminator": tf.stack([tf.norm(gradient) for gradient in discriminator_gradients]),
            "generator": tf.stack([tf.norm(gradient) for gradient in generator_gradients]),
        }
        metrics = {
            "loss/discriminator": discriminator_loss,
            "loss/discriminator_real": real_loss,
            "loss/discriminator_fake": fake_loss,
            "loss/generator": generator_loss,
            "prob/real": self._mean(tf.sigmoid(real_logits)),
            "prob/fake": self._mean(tf.sigmoid(fake_logits)),
            "gradient_norm/discriminator": tf.norm(gradient_norms["discriminator"]),
            "gradient_norm/generator": tf.norm(gradient_norms["generator"]),
        }
        return metrics, gradient_norms

    def _discriminate(
        self, real_images: tf.Tensor, fake_images: tf.Tensor, classes: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if self.config.joint_batch:
            both_images = tf.concat([real_images, fake_images], axis=0)
            both_classes = None if classes is None else tf.concat([classes, classes], axis=0)
            both = self.discriminator(with_labels(both_images, both_classes), training=True)[:, 0]
            real_logits, fake_logits = tf.split(both, 2)
        else:
            real_logits = self.discriminator(with_labels(real_images, classes), training=True)[:, 0]
            fake_logits = self.discriminator(with_labels(fake_images, classes), training=True)[:, 0]
        return real_logits, fake_logits

    def _mean(self, terms: tf.Tensor) -> tf.Tensor:
        """The mean over the global batch. A replica holds a part of it, and gradients are summed over replicas."""
        return tf.reduce_sum(terms) / self.config.batch_size

    def _update_ema(self) -> None:
        # Early on, the average forgets the random first weights sooner than its decay would.
        steps = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.config.ema_decay, (1 + steps) / (10 + steps))
        for average, weight in zip(
            self.ema_generator.trainable_variables, self.generator.trainable_variables, strict=True
        ):
            average.assign(decay * average + (1 - decay) * weight)
        # BatchNorm's statistics are moving averages already.
        for average, statistic in zip(
            self.ema_generator.non_trainable_variables, self.generator.non_trainable_variables, strict=True
        ):
            average.assign(statistic)

    def _latents(self, purpose: int, count: int) -> tf.Tensor:
        shape = (count, self.config.latent_dim)
        return tf.random.stateless_normal(shape, seed=self._noise_key(purpose), alg="philox")

    def _noise_key(self, purpose: int) -> tf.Tensor:
        return tf.stack([tf.constant(self.config.seed, tf.int64), self.step * PURPOSES + purpose])

    def _key_dropouts(self) -> None:
        """Makes the masks of this step a function of (seed, step): Keras's own state is in no checkpoint."""
        for number, dropout in enumerate(self._dropouts):
            key = self._noise_key(DROPOUT + number)
            # Keras adds one for each draw within the step; the factor leaves it room.
            dropout.seed_generator.state.assign(key * [1, 256])

    def _adam(self, learning_rate: float, network: keras.Model) -> keras.Optimizer:
        optimizer = keras.optimizers.Adam(learning_rate, self.config.beta_1, self.config.beta_2)
        optimizer.build(network.trainable_variables)  # Its slots must exist before a checkpoint is restored.
        return optimizer


def to_float(images: tf.Tensor) -> tf.Tensor:
    """uint8 0..255 -> float32 -1..1."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Float -1..1 -> uint8 0..255, rounded to the nearest gray level."""
    return tf.cast(tf.round((tf.clip_by_value(images, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)
