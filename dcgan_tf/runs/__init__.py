"""The run directory: settings, checkpoints, records, and the best step."""
