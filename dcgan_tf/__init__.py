"""DCGAN in TensorFlow and Keras: train, watch, evaluate, export, serve."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcgan_tf.api import train
    from dcgan_tf.config.settings import Config
    from dcgan_tf.generation.generator import load_generator

__all__ = ["Config", "load_generator", "train"]
__version__ = "0.1.0"

# These variables are read once, when TensorFlow is imported, so they are set before anything here imports it.
# Keras: the train step needs the TensorFlow backend, and the layers need Keras's own defaults, whatever the user's
# keras.json says (channels_first, float16). KERAS_HOME names a folder below a file, which cannot exist, so Keras
# neither reads nor writes keras.json.
# oneDNN: TensorFlow leaves it off on CPUs without AVX-512, although it makes a train step 1.4 to 2 times faster there.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["KERAS_HOME"] = os.path.join(os.devnull, "keras")
os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# TensorFlow's C++ log reports harmless things as errors: "remapper failed" for every convolution followed by LeakyReLU,
# and a missing GPU on every CPU machine. Real errors also arrive as Python exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow takes all of a GPU's memory at once, so that a second process on the same GPU fails. With this setting, it
# takes memory as needed. "false" restores TensorFlow's default.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


# Importing TensorFlow takes seconds, so each of these is imported when it is first used.
_HOMES = {
    "Config": "dcgan_tf.config.settings",
    "load_generator": "dcgan_tf.generation.generator",
    "train": "dcgan_tf.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
