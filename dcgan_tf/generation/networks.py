"""Loading the trained networks of a run, without the state that only training needs."""

import dataclasses

import keras
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.runs.checkpoints import Checkpoints, chosen_steps
from dcgan_tf.runs.run_directory import Run


@dataclasses.dataclass(frozen=True)
class Networks:
    """A trained generator and discriminator in float32.

    Attributes:
        config: The settings of the training.
        generator: The generator, whose weights are the moving average of the trained ones.
        discriminator: The discriminator it was trained against.
        step: Number of train steps done.
    """

    config: Config
    generator: keras.Model
    discriminator: keras.Model
    step: int


def load_networks(run: Run, checkpoint: str = "best", *, set_aside_damaged: bool = False) -> Networks:
    """Loads both networks of a run at one of its checkpoints.

    Args:
        run: The run.
        checkpoint: ``best`` (by the evaluations during training, or the newest if there were none), ``latest``, or a
            step.
        set_aside_damaged: Rename checkpoints that turn out to be damaged. Only the owner of the run may do this.

    Raises:
        UserError: The run has no such checkpoint.
    """
    generator, discriminator = configured_generator(run.config, seed=0), configured_discriminator(run.config, seed=0)
    step = _restore(run, checkpoint, set_aside_damaged, ema_generator=generator, discriminator=discriminator)
    return Networks(run.config, generator, discriminator, step)


def load_generator_network(run: Run, checkpoint: str = "best") -> tuple[keras.Model, int]:
    """Loads only the generator, as `load_networks` does; returns it and its step."""
    generator = configured_generator(run.config, seed=0)
    return generator, _restore(run, checkpoint, False, ema_generator=generator)


def load_discriminator_network(run: Run, step: int) -> keras.Model:
    """Loads only the discriminator of a step that has a checkpoint."""
    discriminator = configured_discriminator(run.config, seed=0)
    _restore(run, str(step), False, discriminator=discriminator)
    return discriminator


def _restore(run: Run, checkpoint: str, set_aside_damaged: bool, **networks: keras.Model) -> int:
    checkpoints = Checkpoints(run.checkpoints, tf.train.Checkpoint(**networks), is_partial=True)
    step = checkpoints.restore(chosen_steps(run, checkpoints.steps(), checkpoint))
    if set_aside_damaged:
        checkpoints.set_aside_damaged()
    assert step is not None  # `chosen_steps` raises an error if there is no checkpoint.
    return step
