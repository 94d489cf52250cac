"""Training: the loop, the train step, optimizers, the monitor."""
