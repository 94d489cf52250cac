"""Training: the loop, the train step, the optimizers and the monitor."""
