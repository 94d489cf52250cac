"""The one exception that stands for a mistake or a condition that the user can mend."""


class UserError(Exception):
    """Ends a command with its message as one line and a non-zero exit code, without a traceback.

    The message says what was received, what is expected and what to do.
    """


class UnknownSplitError(UserError):
    """A data set has no split of the name asked for."""
