"""From a trained run to a served model."""
