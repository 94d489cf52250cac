"""Several devices and machines: strategies, workers, and sums over replicas."""
