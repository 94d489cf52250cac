"""The command line: one module per command. The only place that prints, exits, or says "--flag"."""
