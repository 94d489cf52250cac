"""The optimizers of a run, and updates with gradients that are already summed over replicas."""

import keras
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.objectives.stabilizers import decay_factor
from dcgan_tf.objectives.unrolled import adam_moments

# Keras adds epsilon under the root. Its default of 1e-7 would shrink the steps of all gradients below 3e-4, such as
# those of a clipped D. PyTorch, which WGAN was written in, adds 1e-8 outside the root: the square of that inside.
RMSPROP_EPSILON = 1e-16


def build_optimizer(config: Config, learning_rate: float, network: keras.Model) -> keras.Optimizer:
    """Builds the optimizer of one network with its variables, which must exist before a checkpoint is restored."""
    if config.optimizer == "rmsprop":
        optimizer = keras.optimizers.RMSprop(learning_rate, config.beta_2, epsilon=RMSPROP_EPSILON)
    else:
        optimizer = keras.optimizers.Adam(learning_rate, config.beta_1, config.beta_2)
    optimizer.build(network.trainable_variables)
    return optimizer


def decay_learning_rates(
    config: Config, step: tf.Tensor, generator: keras.Optimizer, discriminator: keras.Optimizer
) -> None:
    """Sets the learning rates of a step according to the schedule of the run, if it has one.

    A schedule as long as the run is stretched if the run is continued with more steps.
    """
    if config.learning_rate_decay == "constant":
        return
    factor = decay_factor(config.learning_rate_decay, step, config.learning_rate_decay_steps or config.steps)
    generator.learning_rate = config.learning_rate_generator * factor
    discriminator.learning_rate = config.learning_rate_discriminator * factor


def apply_gradients(optimizer: keras.Optimizer, gradients: list[tf.Tensor], variables: list[keras.Variable]) -> None:
    """Applies gradients that are already summed over the replicas; `optimizer.apply` would sum them again."""
    if isinstance(optimizer, keras.optimizers.Adam):
        _apply_adam(optimizer, gradients, variables)
    else:
        for gradient, variable in zip(gradients, variables, strict=True):
            optimizer.update_step(gradient, variable, optimizer.learning_rate)
    optimizer.iterations.assign_add(1)


def _apply_adam(optimizer: keras.optimizers.Adam, gradients: list[tf.Tensor], variables: list[keras.Variable]) -> None:
    """Does the same as Keras's `Adam.update_step` in one operation per variable instead of about a dozen."""
    step = tf.cast(optimizer.iterations + 1, tf.float32)
    shared = {
        "beta1_power": optimizer.beta_1**step,
        "beta2_power": optimizer.beta_2**step,
        "lr": optimizer.learning_rate.value,
        "beta1": optimizer.beta_1,
        "beta2": optimizer.beta_2,
        "epsilon": optimizer.epsilon,
    }
    for gradient, variable, first, second in zip(gradients, variables, *adam_moments(optimizer), strict=True):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle, m=first.value.handle, v=second.value.handle, grad=gradient, **shared
        )
