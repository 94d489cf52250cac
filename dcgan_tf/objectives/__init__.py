"""Objectives see logits and images only, never the inside of a model."""
