"""Imports TensorFlow without its startup notices."""

import os
import sys
import tempfile


def import_tensorflow() -> None:
    """Imports TensorFlow without the notices that its C++ code writes before its log level can be set.

    The notices are shown if the user asks for the log with TF_CPP_MIN_LOG_LEVEL, or if the import fails.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    sys.stderr.flush()
    visible = os.dup(2)
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
