"""How fast a configuration trains and samples on this machine, compared with the machine's limits."""
