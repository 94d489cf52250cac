"""The run directory: settings, checkpoints, records, the best step."""
