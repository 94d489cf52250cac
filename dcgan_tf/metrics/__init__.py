"""Measures of how good generated images are: one a file, arrays in, numbers out. They know no images or networks."""
