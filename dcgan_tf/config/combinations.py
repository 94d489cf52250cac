"""Refuses combinations of settings that make no sense, before training starts."""

import dataclasses
from typing import Any

from dcgan_tf.config.sections.data import OWN_PICTURES
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

LOSSES_WITH_TARGETS = ("non_saturating", "minimax", "least_squares", "relativistic_average")
# Losses in which the sign of a logit says whether D rates the image as real. Relativistic and Wasserstein logits have
# no such zero.
LOSSES_WITH_SIGN = ("non_saturating", "minimax", "least_squares", "hinge")
TARGET_FLAGS = ("label_smoothing", "label_noise", "label_flip")

# Setting -> the settings that have no effect while it is none or has its default.
DEPENDENT_FLAGS = {
    "penalty": ("penalty_weight", "penalty_every"),
    "instance_noise": ("instance_noise_decay", "instance_noise_steps"),
    "learning_rate_decay": ("learning_rate_decay_steps",),
    "init_from": ("freeze_discriminator",),
}
CONVOLUTIONAL_FLAGS = (
    "upsampling",
    "kernel_size",
    "discriminator_head",
    "batchnorm_momentum",
    "blocks",
    "generator_extra_layer",
    "discriminator_norm",
    "minibatch_stddev",
)
WORKER_FLAGS = ("workers", "worker_index", "worker_timeout", "worker_secret")
FOLDER_FLAGS = ("max_pixels", "max_side", "max_bad_share", "background")
IMAGE_FLAGS = (
    "image_size",
    "channels",
    "crop",
    "crop_size",
    "flip",
    "diff_augment",
    "augment",
    "manual_dir",
    "data_dir",
    "cache_dir",
)


def refuse_bad_combinations(config: Config) -> None:
    """Raises UserError for the first combination that makes no sense, naming both settings and the remedy."""
    for name, reason in flags_without_effect(config).items():
        raise UserError(
            f"`{name}` has no effect with {reason}. Received: {getattr(config, name)!r}; remove it"
            + (", or choose a `penalty`" if name in DEPENDENT_FLAGS["penalty"] else ""),
            field=name,
        )
    _refuse_contradictions(config)


def flags_without_effect(config: Config) -> dict[str, str]:
    """The settings that differ from their defaults but have no effect, each with the reason."""
    groups: list[tuple[bool, tuple[str, ...], str]] = [
        (
            config.architecture == "mlp",
            CONVOLUTIONAL_FLAGS,
            "`architecture=mlp`, which has no convolutions or BatchNorm",
        ),
        (config.dataset in OWN_PICTURES, ("manual_dir",), f"`dataset={config.dataset}`"),
        (config.dataset not in OWN_PICTURES, FOLDER_FLAGS, f"`dataset={config.dataset}`"),
        (config.draws_points, IMAGE_FLAGS, f"`dataset={config.dataset}`, which has points, not images"),
        (
            config.strategy != "multi_worker",
            WORKER_FLAGS,
            f"`strategy={config.strategy}`, which uses a single process",
        ),
        (config.optimizer == "rmsprop", ("beta_1",), "`optimizer=rmsprop`, which has no first moment"),
        (
            config.instance_noise_decay == "constant",
            ("instance_noise_steps",),
            "`instance_noise_decay=constant`, which does not decay",
        ),
    ]
    for parent, children in DEPENDENT_FLAGS.items():
        value = getattr(config, parent)
        groups.append((value in ("none", _default(config, parent)), children, f"`{parent}={value}`"))
    return {
        name: reason
        for applies, names, reason in groups
        if applies
        for name in names
        if getattr(config, name) != _default(config, name)
    }


def _refuse_contradictions(config: Config) -> None:
    for refuse in (
        _check_data,
        _check_bounds,
        _check_batches,
        _check_targets,
        _check_augmentation,
        _check_unrolling,
        _check_decay,
        _check_xla,
    ):
        refuse(config)


def _check_data(config: Config) -> None:
    if config.draws_points and config.architecture != "mlp":
        raise UserError(
            f"`dataset={config.dataset}` has no images, so convolutions do not apply: use `architecture=mlp`"
        )
    if config.dataset == "stacked_mnist" and config.channels in ("1", "4"):
        raise UserError(
            "`dataset=stacked_mnist` has one digit per channel, so it needs three. Received: "
            f"`channels={config.channels}`; remove it"
        )


def _check_bounds(config: Config) -> None:
    """Refuses contradictory bounds on the discriminator's gradient."""
    penalized = config.penalty != "none"
    if penalized and config.weight_clip:
        raise UserError(
            f"`weight_clip` and `penalty={config.penalty}` are two ways to bound the discriminator: remove one of them"
        )
    if config.weight_clip and config.freeze_discriminator:
        raise UserError(
            "`weight_clip` bounds all weights of the discriminator, but `freeze_discriminator` keeps some as they are: "
            "remove one of them"
        )
    # A gradient norm of 0 can also be demanded of a whole batch, but a norm of 1 only of single images.
    has_length_of_one = config.penalty in ("wgan_gp", "dragan")
    if has_length_of_one and config.architecture == "dcgan" and config.discriminator_norm == "batch":
        raise UserError(
            f"`penalty={config.penalty}` needs the gradient of each image separately, but `discriminator_norm=batch` "
            "mixes the images of a batch: use `discriminator_norm=layer` or `discriminator_norm=none`"
        )
    if penalized and config.minibatch_stddev:
        raise UserError(
            f"`penalty={config.penalty}` needs the gradient of each image separately, but `minibatch_stddev=True` "
            "mixes the images of a batch: remove one of them"
        )
    # BatchNorm and layer normalization have scale factors of their own, which undo the bound.
    is_normalized = config.architecture == "dcgan" and config.discriminator_norm != "none"
    if config.loss == "wasserstein" and not (
        penalized or config.weight_clip or (config.spectral_norm and not is_normalized)
    ):
        raise UserError(
            "`loss=wasserstein` grows without bound unless the discriminator is bounded: add `weight_clip=0.01`, "
            "`penalty=wgan_gp`, or `spectral_norm=True` with `discriminator_norm=none`"
        )
    if config.spectral_norm and config.weight_clip:
        raise UserError(
            "`spectral_norm=True` divides each kernel by its norm, so `weight_clip` has no effect: use one or the other"
        )


def _check_batches(config: Config) -> None:
    """Refuses contradictions with a discriminator that judges several images at once."""
    if config.minibatch_stddev and config.joint_batch:
        raise UserError(
            "`minibatch_stddev=True` compares the diversity of real and fake batches, but `joint_batch=True` mixes "
            "both in one batch: remove one of them"
        )
    if config.batch_size % config.pack:
        raise UserError(
            f"`pack` must divide `batch_size`. Received: {config.pack} and {config.batch_size}; use "
            f"`batch_size={max(config.pack, config.batch_size // config.pack * config.pack)}`"
        )
    if config.pack > 1 and config.conditional:
        raise UserError(
            "`pack` joins images of different classes, but `conditional=True` judges one class: remove one of them"
        )


def _check_targets(config: Config) -> None:
    for name in TARGET_FLAGS:
        if getattr(config, name) and config.loss not in LOSSES_WITH_TARGETS:
            raise UserError(
                f"`{name}` changes the targets of D, but `loss={config.loss}` has no targets: remove it, or use "
                f"`loss={', '.join(LOSSES_WITH_TARGETS)}`"
            )
    if config.label_smoothing + config.label_noise >= 0.5:
        raise UserError(
            "`label_smoothing` and `label_noise`: expected a sum below 0.5, so that the target of real images "
            f"stays closer to 1. Received: {config.label_smoothing} and {config.label_noise}"
        )


def _check_augmentation(config: Config) -> None:
    if config.augment == "ada" and config.loss not in LOSSES_WITH_SIGN:
        raise UserError(
            f"`augment=ada` relies on the sign of D's logits, which means nothing with `loss={config.loss}`: use "
            f"`loss={', '.join(LOSSES_WITH_SIGN)}`, or use `diff_augment` instead"
        )
    if config.augment == "ada" and config.diff_augment:
        raise UserError("`augment=ada` transforms some of the images, `diff_augment` all of them: remove one of them")


def _check_unrolling(config: Config) -> None:
    if config.unroll_steps:
        for name, clashes in (
            (f"penalty={config.penalty}", config.penalty != "none"),
            (f"weight_clip={config.weight_clip}", config.weight_clip),
            (f"optimizer={config.optimizer}", config.optimizer != "adam"),
        ):
            if clashes:
                raise UserError(
                    f"`unroll_steps` simulates plain Adam updates of the discriminator and cannot be used with "
                    f"`{name}`: remove one of them"
                )


def _check_decay(config: Config) -> None:
    if not config.epochs:
        refuse_learning_rates_of_zero(config)


def refuse_learning_rates_of_zero(config: Config) -> None:
    """Raises UserError if the learning rates reach 0 before the run ends.

    Args:
        config: Settings in which ``steps`` is the length of the run, even if the user gave ``epochs``.
    """
    decay, decay_steps = config.learning_rate_decay, config.learning_rate_decay_steps
    if decay in ("linear", "cosine") and 0 < decay_steps < config.steps:
        length = f"`steps={config.steps}`"
        if config.epochs:
            length = f"`epochs={config.epochs:g}` ({config.steps} steps)"
        raise UserError(
            f"`learning_rate_decay={decay}` reaches 0 after `learning_rate_decay_steps={decay_steps}`, but {length} is "
            "longer: remove `learning_rate_decay_steps`, or use `learning_rate_decay=exponential`"
        )


def _check_xla(config: Config) -> None:
    if (config.jit_compile or config.strategy == "tpu") and config.upsampling == "bicubic":
        flag = "`jit_compile=True`" if config.jit_compile else "`strategy=tpu`"
        raise UserError(f"{flag}: XLA has no bicubic resizing. Use `upsampling=bilinear`, or do without XLA")
    if config.jit_compile and config.strategy != "none":
        raise UserError(
            f"`jit_compile=True` supports a single device only, not `strategy={config.strategy}`: remove it, or use "
            "`strategy=none`"
        )


def _default(config: Config, name: str) -> Any:
    return next(field.default for field in dataclasses.fields(config) if field.name == name)
