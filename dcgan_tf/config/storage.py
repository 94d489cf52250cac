"""A configuration as JSON, and what earlier releases wrote."""

import dataclasses
import pathlib
from typing import Any

from dcgan_tf import files
from dcgan_tf.config import plan
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

# How a training began is of no use to those who have its result, and names a folder of the machine that trained.
BEGINNING = ("init_from", "freeze_discriminator")


def save_config(config: Config, path: pathlib.Path) -> None:
    """Writes the configuration as JSON, whole or not at all."""
    files.write_json(path, dataclasses.asdict(config))


def settings_of_model(config: Config) -> dict[str, Any]:
    """What a trained model takes along: all but intervals, and the folders of the machine that trained it."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if not field.metadata["may_change"] and field.name not in BEGINNING
    }


def load_config(path: pathlib.Path) -> Config:
    """Reads what `save_config` wrote.

    Raises:
        UserError: the file is not such a configuration.
    """
    try:
        values = files.read_json(path)
        # Releases without the field had the first rules. An export never has it: it goes by the newest.
        return config_from({"data_rules": 1, **values} if isinstance(values, dict) else values)
    except (ValueError, UserError) as error:
        raise UserError(
            f"{path} is not a configuration of this version of dcgan_tf: {error}. Correct it, or bring back a copy"
        ) from None


def config_from(values: Any) -> Config:
    """The configuration of a trained run, from what its config.json or its export's model.json holds.

    Only the fields are checked, each by itself: a later release may refuse a combination in which a run was trained.

    Raises:
        UserError: they are no settings, or one that is unknown or has a bad value.
    """
    if not isinstance(values, dict):
        raise UserError(f"expected settings by name. Received: {str(values)[:100]!r}")
    unknown = sorted(values.keys() - {field.name for field in dataclasses.fields(Config)})
    if unknown:
        raise UserError(f"unknown settings: {', '.join(unknown)}")
    config = Config(**values)
    if config.architecture == "dcgan" and config.blocks == 0 and config.image_size != "auto":
        config = dataclasses.replace(config, blocks=plan.exact_halves(*config.height_and_width))
    return config
