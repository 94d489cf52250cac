"""Doors for the user: python -m export.saved_model and python -m export.client. The code is in dcgan_tf.serving."""
