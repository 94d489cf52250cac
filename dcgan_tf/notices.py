"""Imports TensorFlow without its startup notices, and faster."""

import os
import sys
import tempfile
from typing import Any

# Keras imports these for wrappers and plots that no command uses. They take a quarter of the time.
UNUSED_BY_COMMANDS = ("sklearn", "matplotlib.pyplot", "pandas")


def import_tensorflow(*, has_whole_keras: bool = False) -> None:
    """Imports TensorFlow without the notices that its C++ code writes before its log level can be set.

    The notices are shown if the user asks for the log with TF_CPP_MIN_LOG_LEVEL, or if the import fails.

    Args:
        has_whole_keras: Whether Keras has its wrappers of scikit-learn and its plots, as a program other than the
            commands may expect.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    sys.stderr.flush()
    visible = os.dup(2)
    unused = [] if has_whole_keras else [name for name in UNUSED_BY_COMMANDS if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(unused))  # None makes their import fail, as if they were not installed.
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()  # This, too, writes a notice if there is no GPU.
        except BaseException:
            hidden.seek(0)
            os.write(visible, hidden.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)
            for name in unused:
                del modules[name]
