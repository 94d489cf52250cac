"""Every command and every flag in the documentation is one that the project has."""

import dataclasses
import re
import shlex

import pytest
import yaml

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from tests.conftest import ROOT
from tests.docs import commands
from tests.docs.pages import PAGES, read_page

READ = [read_page(path) for path in PAGES]
BLOCKS = [block for page in READ for block in page.blocks]
# Blocks that are neither commands nor code begin with these words.
PICTURES_OF_TEXT = ("runs/000-mnist/", "train.py  ")
RUN_ON_PYTORCH = {"torch_step.py", "pytorch_example.py", "enlarged_images.py"}
# Flags of other programs that the text names.
FOREIGN_FLAGS = {"signal", "logdir", "samples_per_plugin"}


def is_python(block):
    return block.language == "python" or block.lines[0].startswith(("from ", "import ", ">>> "))


def is_shell(block):
    return block.language in ("", "bash", "sh") and not is_python(block)


def code_of(block):
    lines = block.lines
    if lines[0].startswith(">>> "):
        lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    return "\n".join(lines)


@pytest.mark.parametrize("block", [b for b in BLOCKS if is_shell(b)], ids=str)
def test_shell_block(block):
    """Each line is a command that parses, with flags that exist and settings that go together."""
    if block.lines[0].startswith(PICTURES_OF_TEXT):
        return
    lines = block.lines
    if any(line.startswith(PICTURES_OF_TEXT) for line in lines):  # A command with its result below.
        lines = lines[:1]
    found = list(commands.split(lines))
    assert found or lines[0].startswith(("curl ", "export "))
    for words in found:
        try:
            commands.check(words)
        except (commands.BadCommand, UserError) as error:
            pytest.fail(f"{block}: {shlex.join(words)}: {error}")


@pytest.mark.parametrize("page", READ, ids=lambda page: page.path.name)
def test_commands_within_the_text(page):
    for line, text in page.spans:
        if text.startswith(("python ", "pip ", "tensorboard ", "taskset ")):
            for words in commands.split((text,)):
                try:
                    commands.check(words)
                except (commands.BadCommand, UserError) as error:
                    pytest.fail(f"{page.path.name}:{line}: {text}: {error}")


@pytest.mark.parametrize("block", [b for b in BLOCKS if is_python(b)], ids=str)
def test_python_block(block):
    """The block compiles, and what it imports exists."""
    commands.check_imports(code_of(block))


# Commands that take minutes, which no other test calls.
@pytest.mark.parametrize("folder", ["docs", "tests/benchmarks", "tests/faults", "tests/gpu"])
def test_imports_of_commands(folder):
    for path in (ROOT / folder).rglob("*.py"):
        if path.name not in RUN_ON_PYTORCH:
            commands.check_imports(path.read_text())


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=str)
def test_yaml_block(block):
    text = "\n".join(block.lines)
    assert list(yaml.safe_load_all(text))
    for command in re.findall(r"python train\.py.*(?:\n\s+--.*)*", text):
        for words in commands.split((" ".join(command.split()),)):
            commands.check(words)


def test_every_flag_that_the_text_names_exists():
    known = FOREIGN_FLAGS | {"help", "helpfull", "version"} | {field.name for field in dataclasses.fields(Config)}
    for folder in ("dcgan_tf/cli", "tests/benchmarks", "tests/faults", "tests/gpu"):
        for source in (ROOT / folder).rglob("*.py"):
            known |= set(re.findall(r'(?:DEFINE_\w+|define_path)\(\s*"(\w+)"', source.read_text()))
    for page in READ:
        if page.path.name == "CHANGELOG.md":  # It may name flags that were removed since.
            continue
        for line, text in page.spans:
            for name in re.findall(r"(?:^|[\s(])--([a-z][\w\-]*)", text):
                assert name in known or name.removeprefix("no") in known, f"{page.path.name}:{line}: no flag --{name}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python train.py --stepz=5", "stepz"),
        ("python train.py --loss=wasserstein", "grows without bound"),
        ("python train.py --preset=quick", "unknown preset"),
        ("python -m dcgan_tf sample walk --run_dir=x --seeds=3", "seeds"),
        ("python -m dcgan_tf sample dance --run_dir=x", "dance"),
        ("python -m dcgan_tf.evaluator --run_dir=x", "there is no"),
        ("python -m dcgan_tf evaluator --run_dir=x", "unknown command 'evaluator'"),
        ("dcgan evaluate --run_dir=x --number=3", "number"),
        ("python -m export.client --action=dance", "dance"),
        ("python -m tests.benchmarks.objectives --runs=3", "runs"),
        ("python -m tests.benchmarks.scaling --steps=3", "takes no flags"),
        ("pip install .[serve]", "no such extra: serve"),
        ("python -m docs.figures nothing", "no such figure"),
        ("python train.py mnist", "takes flags only"),
        ("pip install -r requirement.txt", "there is no requirement.txt"),
        ("pyhton train.py", "unknown program"),
        ("taskset -c 0 python train.py --dry_run=perhaps", "dry_run"),
    ],
)
def test_bad_commands_are_found(line, expected):
    """The checks above can fail."""
    (words,) = commands.split((line,))
    with pytest.raises((commands.BadCommand, UserError), match=re.escape(expected)):
        commands.check(words)
