"""The exception for a mistake or a condition that the user can fix, and how names are printed."""

import re

# Control characters, line separators, and marks that turn the direction of what follows.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_LEADING_SETTING = re.compile(r"`(\w+)(?:=[^`]*)?`")


def printable(text: object) -> str:
    """Text on one line, with escapes such as ``\\x1b`` for whatever would steer a terminal.

    Names of files and answers of servers come from strangers. Every `UserError` does this to its message; whoever
    prints a name does it to the name.
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(text))


class UserError(ValueError):
    """A mistake or a condition that the user can fix.

    The message is one line that says what was received, what is expected and what to do. It names settings and
    arguments in backquotes, such as `batch_size`; the command line turns them into flags, and ends with that line and a
    non-zero exit code, without a traceback.

    Attributes:
        field: The setting that the error is about, where it is one: that with which the message begins, unless it is
            given.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(printable(message))
        named_first = _LEADING_SETTING.match(message)
        self.field = field or (named_first[1] if named_first else None)


class UnknownSplitError(UserError):
    """A data set has no split of the name asked for."""
