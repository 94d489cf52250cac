"""Evaluation of a run: feature networks, splits of the data, metrics, uses of the trained networks, and the report."""
