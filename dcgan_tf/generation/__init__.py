"""What can be done with a trained pair's latent space and features: functions over arrays and networks."""
