"""Settings: the fields, presets, rules between them, and how they are stored. No TensorFlow."""
