"""Commands that make the documentation (`generate`, `figures`) and the bundled models (`pretrained`, `classifiers`)."""
