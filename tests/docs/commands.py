"""Checks, without running it, that the project understands a command from the documentation."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from types import ModuleType

from absl import flags

from dcgan_tf.cli import command_line, sample
from dcgan_tf.cli.main import COMMANDS
from dcgan_tf.config.making import make_config
from docs import figures
from tests.conftest import ROOT

# Other programs: only the files that their commands name are checked.
FOREIGN = (
    "docker",
    "curl",
    "tensorboard",
    "ruff",
    "codespell",
    "mypy",
    "lint-imports",
    "git",
    "cd",
    "wait",
    "export",
    "source",
    "jupyter",
    "pre-commit",
)
# Other ways to call a command -> the command.
DOORS = {"train.py": "train", "export.saved_model": "export", "export.client": "client"}
# Words before one of our own commands.
PREFIXES = (("taskset", "-c", "0"), ("taskset", "-c", "1"), ("srun",), ("exec",))
REQUIREMENT = re.compile(r"[a-z][\w\-]*([<>=!~,.\d]+)?")
THIS_PACKAGE = re.compile(r"\.(?:\[([\w,]+)\])?")
EXTRAS = {path.stem for path in ROOT.glob("requirements/*.txt")}
FILE_WORD = re.compile(r"[\w\-/]+\.(py|txt|yaml|config|md|ipynb)")


class BadCommand(Exception):
    """A command that would not run; the message says why."""


def split(lines: tuple[str, ...]) -> Iterator[list[str]]:
    """The commands of a shell block as words: lines joined at backslashes, variables filled in, `&&` taken apart."""
    variables = {"PWD": str(ROOT)}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        text = re.sub(r"\$(\w+)|\$\{(\w+)\}", lambda match: variables.get(match[1] or match[2], "0"), line)
        if text.startswith(("curl ", "#")):
            continue
        words = shlex.split(text, comments=True)
        command: list[str] = []
        for word in [*words, "&&"]:
            if word in ("&&", "&", ";"):
                if command:
                    yield command
                command = []
            elif not command and (match := re.fullmatch(r"([A-Z_]+)=(.*)", word)):
                variables[match[1]] = match[2]
            else:
                command.append(word)


def check(words: list[str]) -> None:
    """Raises BadCommand for a command that the project would refuse, or that names something that does not exist."""
    for prefix in PREFIXES:
        if tuple(words[: len(prefix)]) == prefix:
            words = words[len(prefix) :]
    program, *rest = (word for word in words if not word.endswith("...") and word not in ("--help", "--helpfull"))
    if program in FOREIGN:
        _check_files(rest)
    elif program == "pip":
        _check_pip(rest)
    elif program in ("python", "python3"):
        _check_python(rest)
    elif program == "dcgan":
        _check_command(rest)
    else:
        raise BadCommand(f"unknown program {program!r}")


def check_imports(code: str) -> None:
    """Raises ImportError if Python code imports what does not exist, within its functions, too."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(ast.unparse(node), {})


def _check_python(words: list[str]) -> None:
    name, *rest = words
    if name == "-m":
        name, *rest = rest
    elif name not in DOORS:
        raise BadCommand(f"expected train.py or -m, not {name!r}")
    if name in DOORS:
        _check_command([DOORS[name], *rest])
    elif name == "dcgan_tf":
        _check_command(rest)
    elif name == "pytest":
        _check_files([word for word in rest if not word.startswith("-")])
    elif name == "pip":
        _check_pip(rest)
    elif name != "venv":
        _check_module(name, rest)


def _check_command(words: list[str]) -> None:
    """Checks what is typed after `dcgan`, without --help."""
    if words in ([], ["COMMAND"], ["--version"]):
        return
    name, *rest = words
    if name not in COMMANDS:
        raise BadCommand(f"unknown command {name!r}")
    module = importlib.import_module(f"dcgan_tf.cli.{name}")
    if module is sample:
        if rest[:1] == ["ACTION"]:
            return
        if rest and not rest[0].startswith("-") and rest[0] not in sample.ACTIONS:
            raise BadCommand(f"unknown action {rest[0]!r}")
        module, _, rest = sample.choose(rest)
    _parse(module, rest)


def _check_module(name: str, words: list[str]) -> None:
    """Checks a command of the documentation or of the measurements."""
    path = ROOT / name.replace(".", "/")
    if not (path / "__main__.py").exists() and not path.with_suffix(".py").exists():
        raise BadCommand(f"there is no module {name}")
    if name == "docs.figures" and (unknown := set(words) - set(figures.FIGURES) - {"NAME"}):
        raise BadCommand(f"no such figure: {', '.join(unknown)}")
    module = importlib.import_module(f"{name}.__main__" if path.is_dir() else name)
    if hasattr(module, "define_flags"):
        _parse(module, words)
    elif options := [word for word in words if word.startswith("-")]:
        raise BadCommand(f"{name} takes no flags, and not {options}")


def _parse(module: ModuleType, words: list[str]) -> None:
    before = set(flags.FLAGS)
    try:
        module.define_flags()
        others = flags.FLAGS(["program", *words])[1:]
        if others and not hasattr(module, "ARGUMENTS"):
            raise BadCommand(f"takes flags only, not {others}")
        if "preset" in flags.FLAGS:
            make_config(command_line.typed_config_values())
    except flags.Error as error:
        raise BadCommand(str(error)) from None
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


def _check_pip(words: list[str]) -> None:
    if words[:1] != ["install"]:
        raise BadCommand(f"expected pip install, not pip {' '.join(words)}")
    requirements = [word for word in words[1:] if not word.startswith("-")]
    for word in requirements:
        if match := THIS_PACKAGE.fullmatch(word):
            if unknown := set((match[1] or "").split(",")) - EXTRAS - {""}:
                raise BadCommand(f"no such extra: {', '.join(unknown)}")
        elif not REQUIREMENT.fullmatch(word) and not word.endswith(".txt"):
            raise BadCommand(f"not a requirement: {word!r}")
    _check_files(requirements)


def _check_files(words: list[str]) -> None:
    for word in words:
        if FILE_WORD.fullmatch(word) and not (ROOT / word).exists():
            raise BadCommand(f"there is no {word}")
