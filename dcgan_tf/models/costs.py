"""The arithmetic and memory that a network needs, computed from its layers before training."""

import math

import keras

from dcgan_tf.config.settings import Config
from dcgan_tf.models.resizing import NearestConv2D, transposed_side

BYTES_PER_FLOAT = 4
# Memory of TensorFlow, its libraries, and the graphs and pictures of a run. It does not depend on the networks' size.
# Measured on Linux with TensorFlow 2.21 by `python -m tests.benchmarks.memory`.
FRAMEWORK_BYTES = 840 * 2**20


def count_flops(model: keras.Model) -> int:
    """The floating-point operations of one forward pass for one image. A multiply-add counts as two.

    Only matrix products are counted (dense layers, convolutions, transposed convolutions). The rest is a few percent.
    """
    return sum(_layer_flops(layer) for layer in model.layers)


def count_activations(model: keras.Model) -> int:
    """The total size of the outputs of all layers for one image, in numbers."""
    return sum(math.prod(layer.output.shape[1:]) for layer in model.layers)


def step_flops(generator: keras.Model, discriminator: keras.Model, config: Config) -> int:
    """The floating-point operations of one train step.

    A backward pass costs as much as two forward passes: one for the gradients of the weights, and one for those of the
    inputs, which are not needed in a network's first layer. Let G and D be the cost of a forward pass of a batch, and
    G' and D' the cost of the first layer's part of it. A plain step then costs

        2 (3 D - D')  for the discriminator's update, on real and on fake images
        + 2 D         for the generator's loss and its gradient with respect to the images
        + 3 G - G'    for the images of both updates and the generator's update

    Computations that are differentiated twice (a penalty, a virtual update) cost about twice as much again.
    """
    relative = config.loss.startswith("relativistic")
    penalty_passes = _penalized_batches(config) * 6 / config.penalty_every
    generator_passes = 3 + config.fresh_noise + config.discriminator_steps - 1
    discriminator_passes = (
        config.discriminator_steps * (3 + 3 + penalty_passes)
        + config.unroll_steps * 3 * (3 + 3)
        + bool(config.unroll_steps) * (3 + 3)  # D's loss after the virtual updates
        + 2
        + relative
    )
    each_generated = generator_passes * count_flops(generator) - _first_layer_flops(generator)
    each_judged = discriminator_passes * count_flops(discriminator) - (
        2 * config.discriminator_steps * _first_layer_flops(discriminator)
    )
    # A packed discriminator sees fewer, deeper rows.
    return round(config.batch_size * (each_generated + each_judged / config.pack))


def estimate_memory(
    generator: keras.Model, discriminator: keras.Model, config: Config, images_per_evaluation: int = 0
) -> int:
    """The estimated peak resident memory of training, in bytes. It is meant for planning and is not a bound.

    It consists of the framework; the weights with their gradients, Adam's two moments and the moving average; and the
    activations of a train step, which the backward passes need, or of an evaluation, whichever are larger. The images
    stay on disk.

    Args:
        generator, discriminator: The networks of the run.
        config: A complete configuration.
        images_per_evaluation: Images that an evaluation during training generates at once; 0 without evaluations.
    """
    weights = 5 * generator.count_params() + 4 * discriminator.count_params()
    # Passes on real and fake images, also after virtual updates, plus those that are differentiated twice: one per
    # penalty, two per virtual update.
    is_unrolled = bool(config.unroll_steps)
    discriminator_passes = 2 + 2 * is_unrolled + 2 * _penalized_batches(config) + 4 * config.unroll_steps
    of_a_step = config.batch_size * (
        count_activations(generator) + discriminator_passes * count_activations(discriminator) / config.pack
    )
    # A forward pass frees each layer once it is done with it. What remains is the input and output of the largest
    # layer, work space, and memory that the allocator cannot return.
    of_an_evaluation = 4 * images_per_evaluation * max(math.prod(layer.output.shape[1:]) for layer in generator.layers)
    return round(FRAMEWORK_BYTES + BYTES_PER_FLOAT * (weights + max(of_a_step, of_an_evaluation)))


def _penalized_batches(config: Config) -> int:
    return {"none": 0, "r1_r2": 2}.get(config.penalty, 1)


def _first_layer_flops(model: keras.Model) -> int:
    return next(flops for layer in model.layers if (flops := _layer_flops(layer)))


def _layer_flops(layer: keras.Layer) -> int:
    match layer:
        case keras.layers.Dense():
            return 2 * layer.kernel.shape[0] * layer.units
        case keras.layers.Conv2DTranspose():  # Each input pixel is multiplied by the whole kernel.
            return 2 * math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
        case NearestConv2D():  # Likewise, by the kernel of the transposed convolution that it is computed as.
            return (
                2
                * transposed_side(layer.kernel_size[0]) ** 2
                * math.prod(layer.kernel.shape[2:])
                * math.prod(layer.input.shape[1:3])
            )
        case keras.layers.Conv2D():  # Each output pixel takes the whole kernel.
            return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return 0
