"""The one exception that stands for a mistake or a condition that the user can mend, and how names are printed."""

import re

# Control characters, line separators, and marks that turn the direction of what follows.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: object) -> str:
    """Text on one line, with escapes such as ``\\x1b`` for whatever would steer a terminal.

    Names of files and answers of servers come from strangers. Every `UserError` does this to its message; whoever
    prints a name does it to the name.
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(text))


class UserError(Exception):
    """Ends a command with its message as one line and a non-zero exit code, without a traceback.

    The message says what was received, what is expected and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class UnknownSplitError(UserError):
    """A data set has no split of the name asked for."""
