"""Registration of this package's layers with Keras for saving, and checks of their inherited options."""

from typing import Any

import keras

register = keras.saving.register_keras_serializable(package="dcgan_tf")


def require_options(layer: keras.Layer, **expected: Any) -> None:
    """Raises ValueError if an inherited option has a value that the layer does not support."""
    for name, value in expected.items():
        received = getattr(layer, name)
        if received != value:
            expected_name, received_name = (getattr(option, "__name__", repr(option)) for option in (value, received))
            raise ValueError(f"{type(layer).__name__} supports only {name}={expected_name}. Received: {received_name}")
