"""The actions of the command `sample`, one module each."""
