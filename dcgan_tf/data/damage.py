"""Distinguishes damaged files from failures of the machine that reads them."""

import contextlib
import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator

from dcgan_tf.errors import UserError

# Exceptions that Pillow's decoders and zipfile raise on damaged files.
DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError,
    RuntimeError, AssertionError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


class BadPictureError(Exception):
    """A file cannot be used; the message is the reason in a few words."""


@contextlib.contextmanager
def damage_named(place: object = None) -> Iterator[None]:
    """Turns the errors of decoders into BadPictureError.

    Args:
        place: The file being read, if the machine can cause an error; None for pictures in memory.
    """
    try:
        yield
    except DECODER_ERRORS as error:
        if place is not None:
            refuse_faults_of_the_machine(error, place)
        raise BadPictureError(f"truncated or damaged: {error}") from error


def refuse_faults_of_the_machine(error: Exception, place: object) -> None:
    """Raises UserError if the operating system could not read a file, which may be fine and must not count as bad."""
    # EINVAL is excluded because a damaged file can point to an impossible offset. Pillow's own errors have no number.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise UserError(
            f"cannot read the picture '{place}': {error.strerror}. Fix its permissions, the disk or the network, or "
            "move it away, and repeat the command to continue"
        ) from error
