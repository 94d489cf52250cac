"""Ends a command without a traceback on Ctrl-C, from the import of this module until `command_line.run` answers it."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # It is ignored in the background of some shells.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
