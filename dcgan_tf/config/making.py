"""Builds a complete, checked configuration from what the user gives."""

import dataclasses
from typing import Any

from dcgan_tf.config.combinations import flags_without_effect, refuse_bad_combinations
from dcgan_tf.config.presets import DATA_SET_NEEDS, PRESETS
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

# What ``penalty=auto`` stands for.
WEAK_R1: dict[str, Any] = {"penalty_weight": 0.1, "penalty_every": 4}


def make_config(typed: dict[str, Any], resumed: Config | None = None) -> Config:
    """Builds a Config from what the user typed.

    Args:
        typed: Field name -> value, only for the fields that the user typed.
        resumed: The configuration of the run to resume, if any. All other fields are taken from it alone.

    Raises:
        UserError: The preset is unknown, a value is invalid, or settings contradict each other.
    """
    preset = typed.get("preset", Config.preset)
    if preset not in PRESETS:
        raise UserError(f"`preset`: unknown preset {preset!r}. Expected one of: {', '.join(PRESETS)}", field="preset")
    if "steps" in typed and typed.get("epochs"):
        raise UserError("`steps` and `epochs` both set the length of the run. Give one of them")
    length = {"epochs": 0.0} if "steps" in typed else {}  # Overrides the epochs of the preset or of the resumed run
    if resumed is not None:
        config = dataclasses.replace(resumed, **{**typed, **length})
    else:
        dataset = typed.get("dataset", PRESETS[preset].get("dataset", Config.dataset))
        values = {**PRESETS[preset], **DATA_SET_NEEDS.get(dataset, {}), **typed, **length}
        config = dataclasses.replace(Config(), **values)
        # Drop the preset's settings of parts that the typed settings have replaced, such as convolutions by mlp.
        defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Config)}
        unused = flags_without_effect(config).keys() - typed.keys()
        config = dataclasses.replace(config, **{name: defaults[name] for name in unused})
        config = settle_penalty(config, typed)
    refuse_bad_combinations(config)
    return config


def settle_penalty(config: Config, typed: dict[str, Any]) -> Config:
    """Replaces ``auto`` in ``penalty`` with a weak R1 if training was found to be better with it, otherwise with none.

    docs/performance.md has the measurements. Settings that bound D in another way, or that cannot be combined with a
    penalty, leave it out. A weight and an interval that the user typed take precedence.
    """
    if config.penalty != "auto":
        return config
    is_suited = (
        config.architecture == "dcgan"
        and config.discriminator_norm == "batch"
        and config.loss == "non_saturating"
        and not (config.spectral_norm or config.weight_clip or config.unroll_steps)
        and not (config.minibatch_stddev or config.joint_batch)
    )
    chosen = {name: typed.get(name, value) for name, value in WEAK_R1.items()}
    return dataclasses.replace(config, **{**chosen, "penalty": "r1"} if is_suited else {"penalty": "none"})
