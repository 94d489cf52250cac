"""Reading and writing a configuration as JSON, including what earlier releases wrote."""

import dataclasses
import pathlib
from typing import Any

from dcgan_tf import files
from dcgan_tf.config import plan
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError

# How the training began. This is not stored with a trained model: it has no use there, and it names a folder of the
# machine that trained the model.
BEGINNING = ("init_from", "freeze_discriminator")


def save_config(config: Config, path: pathlib.Path) -> None:
    """Writes the configuration as JSON, whole or not at all."""
    files.write_json(path, dataclasses.asdict(config))


def settings_of_model(config: Config) -> dict[str, Any]:
    """The settings stored with a trained model: all except intervals and folders of the machine that trained it."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if not field.metadata["may_change"] and field.name not in BEGINNING
    }


def load_config(path: pathlib.Path) -> Config:
    """Reads what `save_config` wrote.

    Raises:
        UserError: The file is not such a configuration.
    """
    try:
        values = files.read_json(path)
        # Releases without this field used the first rules. Exports never have it, so they use the newest.
        return config_from({"data_rules": 1, **values} if isinstance(values, dict) else values)
    except (ValueError, UserError) as error:
        raise UserError(
            f"{path} is not a configuration of this version of dcgan_tf: {error}. Correct it, or restore a copy"
        ) from None


def config_from(values: Any) -> Config:
    """The configuration of a trained run, from the contents of its config.json or of an export's model.json.

    Each field is checked by itself. Combinations are not checked, because a later release may refuse a combination with
    which a run was trained.

    Raises:
        UserError: The values are not settings, or one of them is unknown or invalid.
    """
    if not isinstance(values, dict):
        raise UserError(f"expected settings by name. Received: {str(values)[:100]!r}")
    unknown = sorted(values.keys() - {field.name for field in dataclasses.fields(Config)})
    if unknown:
        raise UserError(f"unknown settings: {', '.join(unknown)}")
    # Releases without this field had no penalty; its default came later.
    config = Config(**{"penalty": "none", **values})
    if config.architecture == "dcgan" and config.blocks == 0 and config.image_size != "auto":
        config = dataclasses.replace(config, blocks=plan.exact_halves(*config.height_and_width))
    return config
