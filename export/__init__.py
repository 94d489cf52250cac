"""The programs python -m export.saved_model and python -m export.client. Their code is in dcgan_tf.serving."""
