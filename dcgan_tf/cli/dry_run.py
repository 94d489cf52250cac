"""What ``--dry_run`` prints: a description of the run, without preparing data or training."""

import dataclasses

from dcgan_tf.config import plan
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import resolve, settle_length
from dcgan_tf.data.sources import find_source
from dcgan_tf.evaluation.features import IMAGES_PER_CALL
from dcgan_tf.models import costs
from dcgan_tf.training.devices import settle_precision
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.transfer import begin_from_model


def describe(config: Config, *, begins_from_model: bool = False) -> None:
    """Prints the complete configuration, both networks with their costs, the data's shape and a memory estimate.

    Args:
        config: The settings of the run.
        begins_from_model: Whether the run would begin with the weights of ``init_from``. If so, prints which fit.
    """
    source = find_source(config)
    config = settle_precision(resolve(config, source))
    count = source.count_if_known()
    if count is not None:
        config = settle_length(config, count)
    gan = GAN(config)

    print_config(config)
    for network in (gan.generator, gan.discriminator):
        print()
        network.summary()
        flops = costs.count_flops(network)
        print(f"{network.name}: {network.count_params():,} parameters, {flops / 1e6:.1f} MFLOP per image forward")
    print()
    shape = "x".join(map(str, config.sample_shape))
    kind = "points, float32" if config.draws_points else "images, uint8"
    print(f"data: {source.full_name} [{config.split}], {count or 'unknown (not prepared yet)'} {kind} {shape}")
    for note in source.notes:
        print(note)
    if config.architecture == "dcgan":
        print(f"blocks: {plan.plan_blocks(*config.height_and_width, config.blocks)} pixels")
    print(
        f"train step: {costs.step_flops(gan.generator, gan.discriminator, config) / 1e9:.1f} GFLOP, "
        f"batch {config.batch_size}"
    )
    evaluated = IMAGES_PER_CALL if config.evaluate_every and not config.draws_points else 0
    memory = costs.estimate_memory(gan.generator, gan.discriminator, config, evaluated)
    print(f"memory: about {memory / 2**20:,.0f} MiB")
    if begins_from_model:
        begin_from_model(gan)
    print("dry run: nothing was prepared, trained or written")


def print_config(config: Config) -> None:
    """Prints the settings as flags, one per line."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.metadata["flag"]:
            print(f"  --{field.name}={str(value).lower() if isinstance(value, bool) else value}")
