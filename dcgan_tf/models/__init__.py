"""Generator and discriminator: Keras functional models for any size that the block plan reaches."""
