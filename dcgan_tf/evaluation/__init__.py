"""From a run to figures: feature networks, splits of the data, uses of the trained networks, and the report."""
