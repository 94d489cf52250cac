"""Losses, penalties and stabilizers. They see only logits and images, never the inside of a model."""
