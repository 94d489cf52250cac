"""What ``--dry_run`` prints: everything that a run would be, without preparing data or training."""

import dataclasses

from dcgan_tf.config import plan
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import resolve, settle_length
from dcgan_tf.data.sources import find_source
from dcgan_tf.evaluation.features import IMAGES_PER_CALL
from dcgan_tf.models import costs
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.transfer import begin_from_model


def describe(config: Config, *, begins_from_model: bool = False) -> None:
    """Prints the settled configuration, both models with their cost, the data's shape and a memory estimate.

    Args:
        config: Of the run.
        begins_from_model: Whether it would begin with the weights that ``init_from`` names; then prints what fits.
    """
    source = find_source(config)
    config = resolve(config, source)
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
    """One setting a line, as the flags that would set it."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.metadata["flag"]:
            print(f"  --{field.name}={str(value).lower() if isinstance(value, bool) else value}")
