"""From a trained run to a served model."""

import dcgan_tf  # noqa: F401  Its settings of TensorFlow and Keras, before a module here imports them.
