"""The generator and the discriminator: Keras functional models for every image size that the block plan allows."""
