"""What a network costs, counted from its layers: arithmetic and memory, before anything is trained."""

import math

import keras

from dcgan_tf.config.settings import Config

BYTES_PER_FLOAT = 4
# TensorFlow with its libraries, and the graphs and pictures of a training, whatever its size: measured on Linux with
# TensorFlow 2.21 by `python -m tests.benchmarks.memory`.
FRAMEWORK_BYTES = 840 * 2**20


def count_flops(model: keras.Model) -> int:
    """Floating-point operations of one forward pass for one image, a multiply-add counted as two.

    Counts the matrix products (dense, convolution, transposed convolution): all but a few percent of the work.
    """
    return sum(_layer_flops(layer) for layer in model.layers)


def count_activations(model: keras.Model) -> int:
    """Numbers in the outputs of all layers, for one image."""
    return sum(math.prod(layer.output.shape[1:]) for layer in model.layers)


def step_flops(generator: keras.Model, discriminator: keras.Model, config: Config) -> int:
    """Floating-point operations of one train step.

    A backward pass costs twice its forward pass, once for the gradients of the weights and once for those of the
    inputs, which nobody needs of a network's first layer. So, a letter for a forward pass of a batch, and with a
    prime for that of a network's first layer alone, a plain step is

        2 (3 D - D')  the discriminator's update, on real and on fake images
        + 2 D         the generator's loss, and its gradient with respect to the images
        + 3 G - G'    the generator: images for both updates, and its update

    What is differentiated twice (a penalty, a virtual update) costs about twice as much again.
    """
    relative = config.loss.startswith("relativistic")
    penalty_passes = _penalized_batches(config) * 6 / config.penalty_every
    generator_passes = 3 + config.fresh_noise + config.discriminator_steps - 1
    discriminator_passes = (
        config.discriminator_steps * (3 + 3 + penalty_passes) + config.unroll_steps * 3 * (3 + 3) + 2 + relative
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
    """Bytes of resident memory at the peak of a training: an estimate to plan with, not a bound.

    The framework; weights with gradients, Adam's two moments and the moving average; and the activations of a train
    step, which the backward passes need, or those of an evaluation, whichever are more. The data stay in their file.

    Args:
        generator, discriminator: Of the run.
        config: Complete.
        images_per_evaluation: Images that an evaluation during training generates at once; 0 without evaluations.
    """
    weights = 5 * generator.count_params() + 4 * discriminator.count_params()
    # Real and fake; and what is differentiated twice keeps its own: a penalty's pass, each virtual update's two.
    discriminator_passes = 2 + 2 * _penalized_batches(config) + 4 * config.unroll_steps
    of_a_step = config.batch_size * (
        count_activations(generator) + discriminator_passes * count_activations(discriminator) / config.pack
    )
    # A forward pass forgets each layer when it is done with it: the widest one's input and output remain, work space,
    # and what the allocator cannot give back.
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
        case keras.layers.Conv2DTranspose():  # Each input pixel meets the whole kernel.
            return 2 * math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
        case keras.layers.Conv2D():  # Each output pixel meets the whole kernel.
            return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return 0
