"""Trained generators: sampling and the latent space, as functions over arrays and networks."""
