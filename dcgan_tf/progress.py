"""What a long call shows while it runs: messages through `logging`, and progress bars.

The library is silent by default: it shows something only inside `shown`, which the commands and ``train(verbose=True)``
enter. This applies to the current context, and so to one thread: while one thread trains verbosely, another can train
silently.
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
logger.addHandler(logging.NullHandler())  # Without it, Python prints warnings even if a program has not set up logging.

# Shows the messages of the context. With None, the default, they only go to the handlers of the calling program.
_current: contextvars.ContextVar["_Shower | _Silence | None"] = contextvars.ContextVar("current", default=None)


class _Silence:
    """Replaces `_Shower` where nothing is to be shown."""


class _Shower(logging.StreamHandler):
    """Writes the messages of its context, above the progress bar if there is one."""

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
    """Shows messages and progress bars inside the block.

    Args:
        is_shown: False hides them instead.
        formatter: Formats the messages. By default, only the message itself is shown.
    """
    shower = _Shower() if is_shown else None
    if shower is not None:
        shower.setFormatter(formatter)
        logger.addHandler(shower)
        _follow_showers()
    token = _current.set(shower or _Silence())
    try:
        yield
    finally:
        _current.reset(token)
        if shower is not None:
            logger.removeHandler(shower)
            _follow_showers()


def _follow_showers() -> None:
    has_showers = any(isinstance(handler, _Shower) for handler in logger.handlers)
    logger.setLevel(logging.INFO if has_showers else logging.NOTSET)
    # Other libraries add handlers to the root logger, which would write everything again.
    logger.propagate = not has_showers


logger.addFilter(lambda _: not isinstance(_current.get(), _Silence))


@contextlib.contextmanager
def decoration(name: str) -> Iterator[None]:
    """Logs any error inside the block and continues, because a failed display must not stop training. Also a decorator.

    Args:
        name: What the block writes, as named in the warning.
    """
    try:
        yield
    except Exception as error:  # On damaged files, libraries raise exceptions of any type.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        logger.warning("%s could not be written (%s). Everything else continues without it", name, reason)


def say_last_words(reason: str) -> None:
    """Writes to standard error why the process ends, from any thread, even if messages are hidden."""
    record = logging.makeLogRecord({"msg": f"error: {reason}"})
    showers = [handler for handler in logger.handlers if isinstance(handler, _Shower)]
    line = showers[0].format(record) if showers else record.getMessage()
    print(f"\n{line}", file=sys.stderr, flush=True)


def is_shown() -> bool:
    """Whether messages and bars are shown in this context."""
    return isinstance(_current.get(), _Shower)


def draws_bars() -> bool:
    """Whether bars can be drawn: on a terminal or in a notebook. In a file or a pipe, lines replace them."""
    return is_shown() and (sys.stderr.isatty() or "ipykernel" in sys.modules)


@contextlib.contextmanager
def shown_only(if_true: bool) -> Iterator[None]:
    """Hides messages and bars inside the block, unless the condition is true."""
    with contextlib.nullcontext() if if_true else shown(False):
        yield


def bar(*arguments: Any, desc: str = "", **options: Any) -> tqdm:
    """A progress bar with tqdm's arguments. It is a single line in a file or a pipe, and hidden if nothing is shown.

    With ``delay``, which hides the bar of quick work, that line is omitted.
    """
    if desc and is_shown() and not draws_bars() and not options.get("delay"):
        logger.info("%s ...", desc[:1].upper() + desc[1:])
    return tqdm(*arguments, desc=desc or None, mininterval=0.5, disable=not draws_bars(), **options)
