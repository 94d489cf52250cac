"""Metrics of generated images, one per file. They map arrays to numbers and know nothing of images or networks."""
