"""The actions of python -m dcgan_tf sample: a file each, with its flags and what it does. TensorFlow comes late."""
