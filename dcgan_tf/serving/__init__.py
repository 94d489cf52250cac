"""Exporting a trained pair as a SavedModel, verifying it, and asking a server for images."""
