"""What all commands share: flags made from the fields of `Config`, help, and one-line errors with an exit code."""

import dataclasses
import difflib
import importlib.metadata
import io
import logging
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterable
from types import ModuleType
from typing import Any, NoReturn

from absl import flags

import dcgan_tf
from dcgan_tf import files, progress
from dcgan_tf.cli import help as help_page
from dcgan_tf.cli import signals
from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.sections.option import Switch
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError, printable
from dcgan_tf.paths import expand

HELP_FLAGS = ("--help", "-h", "-help", "--helpshort", "--helpfull")
_SETTINGS = frozenset(field.name for field in dataclasses.fields(Config))


class _SwitchParser(flags.ArgumentParser):
    """Reads true, false, or auto."""

    def parse(self, argument: str) -> bool | str:
        return argument if argument == "auto" else flags.BooleanParser().parse(argument)


class _SwitchFlag(flags.BooleanFlag):
    """An on/off flag that can also be ``auto``."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.parser = _SwitchParser()


EXPECTED_KINDS: tuple[tuple[type, str], ...] = (
    (flags.IntegerParser, "a whole number"),
    (flags.FloatParser, "a number"),
    (_SwitchParser, "true, false or auto"),
    (flags.BooleanParser, "true or false"),
)


def define_config_flags(leave_out: Collection[str] = (), flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag per field of `Config`, with its type, default, choices, range and description.

    Args:
        leave_out: Fields that have no effect on the command. It rejects their flags as unknown.
        flag_values: Where to define the flags.
    """
    for field in _flag_fields():
        if field.name in leave_out:
            continue
        # The help shows the field's default. The flag itself is None until typed, so that a preset can set a value.
        text = in_flags(_describe(field))
        if field.type == Switch:
            flags.DEFINE_flag(_SwitchFlag(field.name, None, text), flag_values)
        elif field.type is bool:
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
    """Defines a flag that names a file or folder, in which a leading ``~`` means the home folder."""
    return flags.DEFINE(_PathParser(), name, default, description, flag_values=flag_values)


def typed_config_values(flag_values: flags.FlagValues = flags.FLAGS) -> dict[str, Any]:
    """The fields of `Config` whose flags the user typed, with their values."""
    values = {field.name: flag_values[field.name].value for field in _flag_fields() if field.name in flag_values}
    return {name: value for name, value in values.items() if value is not None}


def run(command: ModuleType, arguments: list[str], program: str) -> NoReturn:
    """Parses the flags, runs a command and exits: with 0; with 1 and a line on standard error; with 130 if interrupted.

    Args:
        command: A module with a docstring for the help text, ``define_flags()`` and ``run()``; or with
            ``choose(arguments)``, which returns the module of a subcommand, its name and the other arguments. If it has
            a constant ``ARGUMENTS``, which names the arguments other than flags, ``run`` receives these as a list.
        arguments: What was typed after the command.
        program: How the user started the command.
    """
    signals.open_closed_streams()
    try:
        description = command.__doc__ or ""
        if hasattr(command, "choose"):
            subcommand, name, arguments = command.choose(arguments)
            if name:
                description, program = subcommand.__doc__ or "", f"{program} {name}"
            command = subcommand
        before = set(flags.FLAGS)
        command.define_flags()
        expected = getattr(command, "ARGUMENTS", "")
        for word in arguments:
            if word == "--version":
                print_version()
            if word in HELP_FLAGS:
                own = [flags.FLAGS[name] for name in flags.FLAGS if name not in before]
                groups = help_page.group_flags(own, _defined_settings())
                print(help_page.help_text(program, description, expected, groups, full=word == "--helpfull"))
                sys.exit()
        rest = _parse_flags(arguments, expected)
        _call(lambda: command.run(rest) if expected else command.run())
    except KeyboardInterrupt:
        fail("interrupted. Repeat the command to continue", code=130)
    sys.exit()


def in_flags(text: str) -> str:
    """Turns the settings that a message of the library names, such as `batch_size=4`, into flags: --batch_size=4."""

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name not in _SETTINGS and name not in flags.FLAGS:
            return match[0]
        switch = {"True": f"--{name}", "False": f"--no{name}", None: f"--{name}"}
        return switch.get(value, f"--{name}={value}")

    return re.sub(r"`(\w+)(?:=([^`]*))?`", flag, text)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return in_flags(super().format(record))


def print_version() -> NoReturn:
    """Prints the versions of this package and of TensorFlow, and exits."""
    print(f"dcgan_tf {dcgan_tf.__version__} (TensorFlow {importlib.metadata.version('tensorflow')})")
    sys.exit()


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name: the closest known name, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Expected one of: {', '.join(known)}"


def fail(message: str, code: int = 1) -> NoReturn:
    """Prints one line on standard error, and exits."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


class _PathParser(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return expand(argument)


def _defined_settings() -> set[str]:
    # A flag that merely shares its name with a setting, such as the seed of an image, has another description.
    defined = [field for field in _flag_fields() if field.name in flags.FLAGS]
    return {field.name for field in defined if flags.FLAGS[field.name].help == in_flags(_describe(field))}


def _flag_fields() -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(Config) if field.metadata["flag"]]


def _call(main: Callable[[], None]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Log files and pipes must show the progress of a run at once, and file names may be undecodable.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    # TFDS logs at the info level, through absl, what the commands report themselves.
    logging.getLogger("absl").setLevel(logging.WARNING)
    ends: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGHUP)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        ends += (signal.SIGINT,)
    signals.handle(ends, _interrupt)
    try:
        with progress.shown(formatter=_Formatter()):
            main()
    except UserError as error:
        fail(in_flags(str(error)))
    except Exception as error:
        # A full or missing disk, a failing network, too little memory: these are not bugs in the program. TensorFlow
        # has error types of its own for them, which exist only once it is imported.
        tensorflow = sys.modules.get("tensorflow")
        if not isinstance(error, (OSError, MemoryError)) and not (
            tensorflow and isinstance(error, tensorflow.errors.OpError)
        ):
            raise
        if isinstance(error, OSError) and error.strerror:
            fail(printable(f"{files.reason(error)}. {files.way_on(error)} and repeat the command"))
        fail(printable(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))
    finally:
        # Only the shutdown of Python is left. Ctrl-C must not cause a traceback there.
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parse_flags(arguments: list[str], expected: str) -> list[str]:
    try:
        rest = flags.FLAGS(["dcgan", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        known = [name for name in flags.FLAGS if name not in ("flagfile", "undefok")]
        close = difflib.get_close_matches(error.flagname, known, n=1)
        fail(f"unknown flag --{error.flagname}. " + (f"Did you mean --{close[0]}?" if close else "See --help"))
    except flags.IllegalFlagValueError as error:
        fail(_explain_value(str(error)))
    except flags.Error as error:
        fail(" ".join(str(error).split()))
    if rest and not expected:
        fail(f"expected flags only, such as --seed=1. Received: {' '.join(rest)}")
    return rest


def _explain_value(message: str) -> str:
    """Rewrites absl's message about a flag's value in the form of all other messages."""
    match = re.match(r"flag --(\w+)=(.*?): (.*)", message, re.DOTALL)
    if match is None:
        return " ".join(message.split())
    name, value, reason = match.groups()
    parser = flags.FLAGS[name].parser
    if isinstance(parser, flags.EnumParser):
        return f"--{name}: expected one of: {', '.join(parser.enum_values)}. Received: {value!r}"
    bounded = "lower bound" in reason or "upper bound" in reason or reason.startswith(f"{value} ")
    kind = next((words for parser_kind, words in EXPECTED_KINDS if isinstance(parser, parser_kind)), "")
    if bounded or not kind:
        return f"--{name}: {' '.join(reason.split())}. Received: {value!r}"
    return f"--{name}: expected {kind}. Received: {value!r}"


def _describe(field: dataclasses.Field) -> str:
    rules = field.metadata
    text = rules["description"]
    if field.name == "preset":
        text += f" One of: {', '.join(PRESETS)}."
    limits = [
        f"{word} {rules[rule]}"
        for rule, word in (("minimum", "at least"), ("above", "above"), ("maximum", "at most"), ("below", "below"))
        if rules[rule] is not None
    ]
    if rules["choices"]:
        limits.append(f"one of: {', '.join(rules['choices'])}")
    if limits:
        text += f" [{', '.join(limits)}]"
    # If the default is empty, the description says what it means.
    return text if field.default == "" else f"{text} (default: {str(field.default).lower()})"
