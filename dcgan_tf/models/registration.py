"""What makes the layers of this package citizens of Keras: registered for saving, and strict about their options."""

from typing import Any

import keras

register = keras.saving.register_keras_serializable(package="dcgan_tf")


def require_options(layer: keras.Layer, **expected: Any) -> None:
    """Raises ValueError where an inherited option has a value that the layer's own computation does not support."""
    for name, value in expected.items():
        received = getattr(layer, name)
        if received != value:
            raise ValueError(f"{type(layer).__name__} supports {name}={value!r} only. Received: {received!r}")
