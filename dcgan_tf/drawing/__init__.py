"""Pictures and pages: grids, panels, scatter plots, curves and HTML."""
