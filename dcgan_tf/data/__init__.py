"""The data pipeline: sources, preparation (once per data set), batches."""
