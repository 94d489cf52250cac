"""The randomness of a train step, a function of seed, step and purpose that needs no state."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.objectives import chance

# The purposes of random draws. All noise of step s is a pure function of (seed, s, purpose), and of the number of the
# discriminator update if there are several. DROPOUT and the numbers after it belong to the dropout layers, one each.
LATENTS, FRESH_LATENTS, REAL_INPUTS, FAKE_INPUTS, GENERATOR_INPUTS, TARGETS, PENALTY = range(7)
DROPOUT = 16
PURPOSES = 64


class StepNoise:
    """The random draws of the current train step.

    Args:
        config: Gives the seed, the length of a latent, and the number of images judged together.
        step: int64 variable, number of train steps done.
    """

    def __init__(self, config: Config, step: tf.Variable) -> None:
        self._config = config
        self._step = step

    def key(self, purpose: int, update: int = 0) -> tf.Tensor:
        """The random key of one draw, int64 [2].

        Args:
            purpose: One of the constants above.
            update: Number of the discriminator update within the step.
        """
        # The bits between the seed and the update are reserved for `subkey`.
        first = tf.constant(self._config.seed + (update << 40), tf.int64)
        return tf.stack([first, self._step * PURPOSES + purpose])

    def latents(self, purpose: int, count: int, update: int) -> tf.Tensor:
        """Standard normal latents, float32 [count, latent_dim]."""
        return chance.normal((count, self._config.latent_dim), self.key(purpose, update), parts=self._config.pack)

    def key_dropouts(self, dropouts: Iterable[keras.layers.Dropout]) -> None:
        """Makes the masks of this step a function of (seed, step), because checkpoints do not hold Keras's state."""
        for number, dropout in enumerate(dropouts):
            # Keras increments the state with each draw within the step; the factor leaves room for that.
            dropout.seed_generator.state.assign(self.key(DROPOUT + number) * [1, 1024])
