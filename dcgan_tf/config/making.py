"""Builds a complete, checked configuration from what the user gives."""

import dataclasses
from typing import Any

from dcgan_tf.config.combinations import flags_without_effect, refuse_bad_combinations
from dcgan_tf.config.presets import DATA_SET_NEEDS, PRESETS
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError


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
    refuse_bad_combinations(config)
    return config
