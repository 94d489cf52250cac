"""A trained generator: sampling and the latent space, as functions over arrays and networks."""
