"""Handling of signals that ask a command to end, and of closed standard streams."""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_hung_up = threading.Event()
STANDARD_STREAMS = ("stdin", "stdout", "stderr")


def handle(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Installs a handler for signals.

    SIGHUP, which is sent when a terminal is closed, stays ignored if it is ignored already, as under nohup. Only the
    first SIGHUP is handled, because the shell and the kernel send one each. From then on, the output of the command is
    discarded, because writing to a closed terminal fails.

    Returns:
        The previous handlers by signal, for `signal.signal`.
    """

    def hang_up(number: int, frame: FrameType | None) -> None:
        if not _hung_up.is_set():
            _hung_up.set()
            _leave_terminal()
            handler(number, frame)

    return {
        number: signal.signal(number, hang_up if number == signal.SIGHUP else handler)
        for number in numbers
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }


def open_closed_streams() -> None:
    """Opens closed standard streams on the null device.

    Otherwise, the next file to be opened would get the descriptor of a stream, and TensorFlow would log into that file.
    """
    for number, name in enumerate(STANDARD_STREAMS):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                nowhere = os.open(os.devnull, os.O_RDWR)
                if nowhere != number:
                    os.dup2(nowhere, number)
                    os.close(nowhere)
            setattr(sys, name, open(os.devnull, "w" if number else "r"))


def _leave_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        if not stat.S_ISREG(os.fstat(number).st_mode):  # Output to a log file continues.
            os.dup2(nowhere, number)
    os.close(nowhere)
