"""The documentation's own commands: `python -m docs.generate` and `python -m docs.figures`."""
