"""Lets Ctrl-C end a command without a traceback until `command_line.run` handles it. Takes effect on import."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # Some shells ignore it for background jobs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
