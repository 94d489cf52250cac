"""The exception for a mistake or condition that the user can fix, and safe printing of names."""

import re

# Control characters, line separators, and marks that change the direction of the text after them.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_LEADING_SETTING = re.compile(r"`(\w+)(?:=[^`]*)?`")


def printable(text: object) -> str:
    """The text on one line, with escapes such as ``\\x1b`` for characters that would control a terminal.

    File names and answers of servers cannot be trusted. `UserError` escapes its own message; code that prints a name
    escapes the name.
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(text))


class UserError(ValueError):
    """A mistake or a condition that the user can fix.

    The message is one line that says what was received, what is expected and what to do. It names settings and
    arguments in backquotes, such as `batch_size`. The command line turns these into flags, prints the line without a
    traceback, and exits with a non-zero code.

    Attributes:
        field: The setting that the error is about, or None. Unless it is given, this is the setting with which the
            message begins.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(printable(message))
        named_first = _LEADING_SETTING.match(message)
        self.field = field or (named_first[1] if named_first else None)


class UnknownSplitError(UserError):
    """A data set has no split with the requested name."""
