"""Commands that make the documentation: `python -m docs.generate`, `docs.figures` and `docs.pretrained`."""
