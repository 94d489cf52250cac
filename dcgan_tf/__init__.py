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

# All are read once, when TensorFlow is imported, so they are set before anything here imports it.
# Keras: the train step is TensorFlow's, whatever backend the user's Keras is set to, and the layers are what they are
# here, whatever the user's keras.json says (channels_first, float16). There is no folder below a file, so Keras reads
# no keras.json and writes none.
# oneDNN: TensorFlow leaves it off on CPUs without AVX-512, where it makes a train step 1.4 to 2 times faster.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["KERAS_HOME"] = os.path.join(os.devnull, "keras")
os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# TensorFlow's C++ log reports a harmless "remapper failed" for every convolution followed by LeakyReLU, and a
# missing GPU on every CPU machine, as errors. Real errors also arrive as Python exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow takes all of a GPU's memory at once, so that a second process on the same card fails. With this, memory
# grows with what is used. "false" brings TensorFlow's own way back.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


# TensorFlow takes seconds to import, so everything waits until somebody asks for it.
_HOMES = {
    "Config": "dcgan_tf.config.settings",
    "load_generator": "dcgan_tf.generation.generator",
    "train": "dcgan_tf.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
