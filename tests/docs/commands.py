"""Whether a command of the documentation is one that the project understands, without running it."""

import ast
import importlib
import pathlib
import re
import shlex
from collections.abc import Iterator

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.cli.sample import ACTIONS
from dcgan_tf.config.making import make_config
from docs import figures
from tests.conftest import ROOT
from tests.generation.conftest import parsed

# Programs of others: what is typed for them is not checked beyond the files that it names.
FOREIGN = ("docker", "curl", "tensorboard", "ruff", "mypy", "git", "cd", "wait", "export", "source", "jupyter")
# Words before a command of ours.
PREFIXES = (("taskset", "-c", "0"), ("taskset", "-c", "1"), ("srun",), ("exec",))
REQUIREMENT = re.compile(r"[a-z][\w\-]*([<>=!~,.\d]+)?")
FILE_WORD = re.compile(r"[\w\-/]+\.(py|txt|yaml|config|md|ipynb)")
# Functions of the actions that define flags for several of them.
SHARED = {
    node.name: node
    for node in ast.parse((ROOT / "dcgan_tf" / "actions" / "common.py").read_text()).body
    if isinstance(node, ast.FunctionDef)
}


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
    """Raises BadCommand for a command that the project would refuse, or that names what is not there."""
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
    else:
        raise BadCommand(f"unknown program {program!r}")


def defined_flags(source: pathlib.Path) -> flags.FlagValues:
    """The flags that a program defines, read from its source without importing it."""
    values = flags.FlagValues()
    tree = ast.parse(source.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    nodes = list(ast.walk(tree))
    while nodes:
        node = nodes.pop()
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if name.endswith("define_config_flags"):
            command_line.define_config_flags(flag_values=values)
        elif name.startswith("common.define_"):
            nodes += ast.walk(SHARED[name.removeprefix("common.")])
        elif name.endswith("define_path"):
            command_line.define_path(ast.literal_eval(node.args[0]), None, "", flag_values=values)
        elif name.startswith("flags.DEFINE_"):
            choices = []
            if name.endswith("_enum"):
                given = node.args[2]
                choices = [ast.literal_eval(constants[given.id] if isinstance(given, ast.Name) else given)]
            define = getattr(flags, name.removeprefix("flags."))
            define(ast.literal_eval(node.args[0]), None, *choices, "", flag_values=values)
    return values


def _check_python(words: list[str]) -> None:
    if words[0] == "train.py":
        source, rest = ROOT / "train.py", words[1:]
    elif words[0] == "-m":
        module, rest = words[1], words[2:]
        if module == "pytest":
            return _check_files([word for word in rest if not word.startswith("-")])
        if module == "pip":
            return _check_pip(rest)
        if module == "venv":
            return None
        if module == "dcgan_tf.cli.sample":
            return _check_sample(rest)
        if module == "docs.figures":
            if unknown := set(rest) - set(figures.FIGURES) - {"NAME"}:
                raise BadCommand(f"no such figure: {', '.join(unknown)}")
            return None
        path = ROOT / module.replace(".", "/")
        source = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    else:
        raise BadCommand(f"expected train.py or -m, not {words[0]!r}")
    if not source.exists():
        raise BadCommand(f"there is no {source.relative_to(ROOT)}")
    values = defined_flags(source)
    try:
        others = values(["program", *rest])[1:]
    except flags.Error as error:
        raise BadCommand(str(error)) from None
    takes_arguments = "takes_arguments=True" in source.read_text() or "benchmarks" in source.parts
    if others and not takes_arguments:
        raise BadCommand(f"takes flags only, not {others}")
    if "define_config_flags" in source.read_text():
        make_config(command_line.typed_config_values(values))
    return None


def _check_sample(words: list[str]) -> None:
    action = words.pop(0) if words and not words[0].startswith("-") else "images"
    if action == "ACTION":
        return
    if action not in ACTIONS:
        raise BadCommand(f"unknown action {action!r}")
    try:
        with parsed(importlib.import_module(f"dcgan_tf.cli.actions.{action}"), words):
            pass
    except flags.Error as error:
        raise BadCommand(str(error)) from None


def _check_pip(words: list[str]) -> None:
    if words[:1] != ["install"]:
        raise BadCommand(f"expected pip install, not pip {' '.join(words)}")
    requirements = [word for word in words[1:] if not word.startswith("-")]
    for word in requirements:
        if not REQUIREMENT.fullmatch(word) and not word.endswith(".txt"):
            raise BadCommand(f"not a requirement: {word!r}")
    _check_files(requirements)


def _check_files(words: list[str]) -> None:
    for word in words:
        if FILE_WORD.fullmatch(word) and not (ROOT / word).exists():
            raise BadCommand(f"there is no {word}")
