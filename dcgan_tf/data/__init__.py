"""Where images come from and how a batch is made: sources -> prepare, once -> batches."""
