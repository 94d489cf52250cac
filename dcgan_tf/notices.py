"""TensorFlow without the notices of its start."""

import os
import sys
import tempfile


def import_tensorflow() -> None:
    """Imports TensorFlow without the notices that its C++ code writes before anybody can set its log level.

    They are shown where the user asks for its log, by TF_CPP_MIN_LOG_LEVEL, and where the import fails.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()  # It says that there is no GPU, too.
        except BaseException:
            hidden.seek(0)
            os.write(visible, hidden.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)
