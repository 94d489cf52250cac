"""How fast a configuration trains and samples on this machine, and how near that is to what the machine can do."""
