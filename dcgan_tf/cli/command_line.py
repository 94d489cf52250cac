"""Flags from the fields of `Config`, and the one place where an error becomes one line and an exit code."""

import dataclasses
import functools
import io
import signal
import sys
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from absl import app, flags, logging

from dcgan_tf import signals
from dcgan_tf.config.settings import PRESETS, Config
from dcgan_tf.errors import UserError, printable
from dcgan_tf.paths import expand

flags.disclaim_key_flags()  # --help shows what the command itself asked for, so the flags count as the command's.


def define_config_flags(leave_out: Collection[str] = (), flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag per field of `Config`, with its type, default, choices, range and description.

    Args:
        leave_out: fields without an effect on the command: it refuses their flags as unknown.
        flag_values: where they are defined.
    """
    for field in _flag_fields():
        if field.name in leave_out:
            continue
        # The default shown is the field's; the flag itself is None until typed, so that a preset can step between.
        text = f"{_describe(field)} (default: {str(field.default).lower() or 'see above'})"
        if field.type is bool:
            flags.DEFINE_boolean(field.name, None, text, flag_values=flag_values)
        elif field.type is int:
            flags.DEFINE_integer(field.name, None, text, flag_values=flag_values)
        elif field.type is float:
            flags.DEFINE_float(field.name, None, text, flag_values=flag_values)
        elif field.metadata["path"]:
            define_path(field.name, None, text, flag_values=flag_values)
        else:
            flags.DEFINE_string(field.name, None, text, flag_values=flag_values)


def define_path(
    name: str, default: str | None, description: str, flag_values: flags.FlagValues = flags.FLAGS
) -> flags.FlagHolder:
    """Defines a flag that names a file or folder, in which a leading ``~`` is the home folder."""
    return flags.DEFINE(_PathParser(), name, default, description, flag_values=flag_values)


def typed_config_values(flag_values: flags.FlagValues = flags.FLAGS) -> dict[str, Any]:
    """The fields of `Config` whose flags the user typed, with their values."""
    values = {field.name: flag_values[field.name].value for field in _flag_fields() if field.name in flag_values}
    return {name: value for name, value in values.items() if value is not None}


def run(main: Callable[..., None], *, takes_arguments: bool = False) -> NoReturn:
    """Parses the flags, calls ``main`` and exits: 0, or 1 after one line on standard error.

    Args:
        main: without parameters; or with a list of what was typed beside flags.
        takes_arguments: whether anything may be typed beside flags.
    """
    signals.open_closed_streams()
    logging.set_verbosity(logging.WARNING)  # absl's libraries, TFDS among them, log as information what is ours to say.
    app.run(
        lambda rest: _call(functools.partial(main, rest[1:]) if takes_arguments else main),
        flags_parser=functools.partial(_parse_flags, takes_arguments=takes_arguments),
    )


class _PathParser(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return expand(argument)


def _flag_fields() -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(Config) if field.metadata["flag"]]


def _call(main: Callable[[], None]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A log file or a pipe shall show where a run is, too; and file names need not be text.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    ends: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGHUP)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        ends += (signal.SIGINT,)
    signals.handle(ends, _interrupt)
    try:
        main()
    except KeyboardInterrupt:
        _exit("interrupted. Repeat the command to continue", code=130)
    except UserError as error:
        _exit(str(error))
    except Exception as error:
        # A disk that is full or gone, a network that fails, memory that runs out: not the program's mistake. TensorFlow
        # reports them as errors of its own, which exist only once it is imported.
        tensorflow = sys.modules.get("tensorflow")
        if not isinstance(error, (OSError, MemoryError)) and not (
            tensorflow and isinstance(error, tensorflow.errors.OpError)
        ):
            raise
        _exit(printable(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))
    finally:
        # What is left is the end of Python, which is no place for a traceback.
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parse_flags(arguments: list[str], takes_arguments: bool) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        _exit(" ".join(str(error).split()))
    if rest[1:] and not takes_arguments:
        _exit(f"expected flags only, such as --dataset=mnist. Received: {' '.join(rest[1:])}")
    return rest


def _exit(message: str, code: int = 1) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _describe(field: dataclasses.Field) -> str:
    rules = field.metadata
    if field.name == "preset":
        return f"{rules['description']} One of: {', '.join(PRESETS)}."
    limits = [
        f"{word} {rules[rule]}"
        for rule, word in (("minimum", "at least"), ("above", "above"), ("maximum", "at most"), ("below", "below"))
        if rules[rule] is not None
    ]
    if rules["choices"]:
        limits.append(f"one of: {', '.join(rules['choices'])}")
    return f"{rules['description']} [{', '.join(limits)}]" if limits else rules["description"]
