"""What a long call shows while it runs: messages through `logging`, and progress bars.

A library is silent: nothing is shown except within `shown`, which the commands and ``train(verbose=True)`` enter. What
is shown is a matter of the thread (of its context), so that a silent training beside a verbose one stays silent.
"""

import contextlib
import contextvars
import logging
import sys
from collections.abc import Iterator
from typing import Any

from tqdm.auto import tqdm
from tqdm.std import tqdm as terminal_bar

logger = logging.getLogger("dcgan_tf")
logger.addHandler(logging.NullHandler())  # Without it, Python would print warnings of a silent library.
logger.setLevel(logging.INFO)

_current: contextvars.ContextVar["_Shower | None"] = contextvars.ContextVar("shower", default=None)


class _Shower(logging.StreamHandler):
    """Writes the messages of the context that it was made in, above a progress bar where one is drawn."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.addFilter(lambda _: _current.get() is self)

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        with terminal_bar.external_write_mode(file=stream, nolock=False):
            stream.write(self.format(record) + self.terminator)
            stream.flush()


@contextlib.contextmanager
def shown(is_shown: bool = True, formatter: logging.Formatter | None = None) -> Iterator[None]:
    """Shows messages and progress bars within.

    Args:
        is_shown: False hides them instead.
        formatter: Of the messages; the message alone without one.
    """
    shower = _Shower() if is_shown else None
    if shower is not None:
        shower.setFormatter(formatter)
        logger.addHandler(shower)
    token = _current.set(shower)
    try:
        yield
    finally:
        _current.reset(token)
        if shower is not None:
            logger.removeHandler(shower)


def is_shown() -> bool:
    """Whether messages and bars are shown here."""
    return _current.get() is not None


def draws_bars() -> bool:
    """Whether bars can be drawn: on a terminal or in a notebook; in a file or a pipe, lines take their place."""
    return is_shown() and (sys.stderr.isatty() or "ipykernel" in sys.modules)


def bar(*arguments: Any, desc: str, **options: Any) -> tqdm:
    """A progress bar with tqdm's arguments; hidden where nothing is shown, a line in a file or a pipe."""
    if is_shown() and not draws_bars():
        logger.info("%s ...", desc[:1].upper() + desc[1:])
    return tqdm(*arguments, desc=desc, mininterval=0.5, disable=not draws_bars(), **options)
