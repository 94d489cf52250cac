"""Starting a new run, at step 0, with the weights of a trained model."""

from typing import TYPE_CHECKING

from dcgan_tf.config.settings import Config
from dcgan_tf.distributed.workers import Workers
from dcgan_tf.errors import UserError
from dcgan_tf.generation.generator import read_source
from dcgan_tf.generation.source import blaming, open_initial
from dcgan_tf.models.weights import CopiedWeights, block_number, copy_weights, digest_of_weights
from dcgan_tf.progress import logger

if TYPE_CHECKING:
    from dcgan_tf.training.gan import GAN

# The weights that are trained by gradients. Statistics adapt by themselves.
TRAINED = ("kernel", "bias", "gamma", "beta")


def begin_from_model(gan: "GAN") -> None:
    """Copies all weights that fit from the model that ``init_from`` names, and logs those that do not fit.

    If the model is a run, its best checkpoint is used. G and its average both start from the average of the model. The
    optimizers start without any state.

    Args:
        gan: A new GAN.

    Raises:
        UserError: There is no such model, it cannot be read, it has another architecture, none of its weights fit, or
            those of the blocks to freeze do not fit.
    """
    config = gan.config
    source = open_initial(config)
    with blaming("init_from"):
        model = read_source(source)
        discriminator = model.discriminator
    networks = {"generator": copy_weights(model.network, gan.generator)}
    copy_weights(model.network, gan.ema_generator)
    if discriminator is not None:
        networks["discriminator"] = copy_weights(discriminator, gan.discriminator)
    copied = [path for weights in networks.values() for path in weights.copied]
    if not any(path.endswith("kernel") for path in copied):
        raise UserError(
            f"`init_from`: no weights of the model in '{config.init_from}' fit these networks. Train with its "
            f"`generator_filters={source.config.generator_filters}` and "
            f"`discriminator_filters={source.config.discriminator_filters}`, or name another model",
            field="init_from",
        )
    _refuse_random_frozen_blocks(config, networks.get("discriminator"))
    _refuse_other_frozen_blocks(config, source.config)
    left = [text for name, weights in networks.items() for text in _describe_left(name, weights)]
    if discriminator is None:
        left.append("the discriminator, which the export does not contain")
    logger.info(
        f"Starting at step 0 with the weights of '{config.init_from}' at step {model.step:,}: {len(copied)} weights fit"
        + (f", and these are new: {', '.join(left)}" if left else ", which is all of them")
    )


def refuse_different_weights(workers: Workers, gan: "GAN") -> None:
    """Raises UserError on each worker if one of them found a different model under the same path."""
    digests = workers.gather([digest_of_weights(network) for network in (gan.generator, gan.discriminator)])
    if any(digest != digests[0] for digest in digests):
        raise UserError(
            f"`init_from`: the workers see different models in '{gan.config.init_from}'. It must be a folder that all "
            "of them share, under the same path",
            field="init_from",
        )


def _refuse_random_frozen_blocks(config: Config, discriminator: CopiedWeights | None) -> None:
    if not config.freeze_discriminator:
        return
    size = ", `image_size`" if config.architecture == "mlp" else ""
    if discriminator is None:
        raise UserError(
            f"`freeze_discriminator`: the export in '{config.init_from}' contains no discriminator. Remove "
            "`freeze_discriminator`, or name the run of the export in `init_from`",
            field="freeze_discriminator",
        )
    for path in discriminator.left:
        if 1 <= block_number(path) <= config.freeze_discriminator and path.endswith(TRAINED):
            raise UserError(
                f"`freeze_discriminator={config.freeze_discriminator}`: {path} of the discriminator does not fit the "
                f"model in '{config.init_from}' and would stay random. Remove `freeze_discriminator`, or use the "
                f"model's `channels`{size}, `discriminator_filters`, `kernel_size` and `discriminator_norm`",
                field="freeze_discriminator",
            )


def _refuse_other_frozen_blocks(config: Config, of_model: Config) -> None:
    """Raises UserError if a setting makes the frozen weights compute something else than in the model."""
    # The first block has no normalization.
    names = ["spectral_norm", "leaky_slope"] + ["discriminator_norm"] * (config.freeze_discriminator > 1)
    for name in names if config.freeze_discriminator else ():
        here, there = getattr(config, name), getattr(of_model, name)
        if here != there:
            raise UserError(
                f"`freeze_discriminator={config.freeze_discriminator}`: the model in '{config.init_from}' has "
                f"`{name}={there}`, but this run has `{name}={here}`, with which the frozen weights compute something "
                "else. Use the model's setting, or remove `freeze_discriminator`",
                field="freeze_discriminator",
            )


def _describe_left(network: str, weights: CopiedWeights) -> list[str]:
    return [
        f"{network}/{path} ({_size(shape)}{f', in the model {_size(other)}' if other is not None else ''})"
        for path, (shape, other) in weights.left.items()
    ]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
