"""Exporting a trained generator and discriminator as a SavedModel, verifying it, and a client for the server."""
