"""What a user types: help, versions, mistakes. None of it waits for TensorFlow."""

import ast
import dataclasses
import json
import pathlib
import re
import signal
import subprocess
import sys
import types

import pytest
import tensorflow as tf
from absl import flags

from dcgan_tf import progress
from dcgan_tf.cli import command_line
from dcgan_tf.cli.main import COMMANDS
from dcgan_tf.cli.sample import ACTIONS
from dcgan_tf.config.settings import Config, fields_by_section
from dcgan_tf.errors import UserError
from tests.conftest import ROOT, one_line

EVERY_COMMAND = [(name,) for name in COMMANDS] + [("sample", action) for action in ACTIONS]
DOORS = [("train.py",), ("-m", "export.saved_model"), ("-m", "export.client"), ("-m", "dcgan_tf", "train")]


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--steps=0", "--steps: expected at least 1. Received: 0"),
        ("--steps=many", "--steps: expected a whole number. Received: 'many'"),
        ("--dropout=some", "--dropout: expected a number. Received: 'some'"),
        ("--flip=perhaps", "--flip: expected true or false. Received: 'perhaps'"),
        ("--flip=auto", "--flip: expected true or false. Received: 'auto'"),
        ("--mixed_precision=perhaps", "--mixed_precision: expected true, false or auto. Received: 'perhaps'"),
        ("--loss=hinje", "relativistic_average, relativistic_pairing. Received: 'hinje'"),
        ("--preset=quick", "unknown preset 'quick'"),
        ("--stepz=5", "unknown flag --stepz. Did you mean --steps?"),
        ("--qqqq", "unknown flag --qqqq. See --help"),
        ("--image_size=300", "--image_size: expected sides from 16 to 256 pixels. Received: '300'"),
        ("mnist", "expected flags only"),
    ],
)
def test_mistyped_flag_is_one_line_and_leaves_nothing(cli, tmp_path, flag, expected):
    assert expected in one_line(cli("train", flag, f"--run_dir={tmp_path / 'run'}"))
    assert not (tmp_path / "run").exists()


INTERRUPTER = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name in ("absl", "keras", "numpy"):
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_interrupt_while_a_command_starts_ends_it_without_a_traceback(command, tmp_path, door):
    """Python runs sitecustomize.py at its start; this one sends a Ctrl-C at the first import that takes time."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTER)
    result = command(*door, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert (result.returncode, result.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("ignored", [False, True])
def test_interrupt_is_one_line_unless_it_is_ignored(ignored):
    code = """
import os, signal, sys, types
signal.signal(signal.SIGINT, signal.SIG_IGN) if sys.argv.pop() == "True" else None
import dcgan_tf.cli.interrupt
from dcgan_tf.cli import command_line
command = types.SimpleNamespace(define_flags=lambda: None, run=lambda: os.kill(os.getpid(), signal.SIGINT))
command_line.run(command, [], "dcgan")
"""
    result = subprocess.run([sys.executable, "-c", code, str(ignored)], cwd=ROOT, capture_output=True, text=True)
    line = "error: interrupted. Repeat the command to continue\n"
    assert (result.returncode, result.stderr) == ((0, "") if ignored else (130, line))


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)], ids=str)
def test_overview_names_every_command(cli, arguments):
    result = cli(*arguments)
    assert result.returncode == 0
    for name, summary in COMMANDS.items():
        assert f"{name:<10} {summary}" in result.stdout


@pytest.mark.parametrize("help_flag", ["--help", "-h", "--helpfull"])
@pytest.mark.parametrize("command", EVERY_COMMAND, ids=str)
def test_every_command_has_help(cli, command, help_flag):
    result = cli(*command, help_flag)
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: dcgan {' '.join(command)} ")
    assert "Options\n" in result.stdout
    assert not result.stderr


def test_help_of_sample_names_every_action(cli):
    for arguments in ((), ("images",)):
        text = cli("sample", *arguments, "--help").stdout
        assert all(f"\n  {name:<12} {summary}\n" in text for name, summary in ACTIONS.items()) == (not arguments)


def test_help_and_mistakes_do_not_import_tensorflow():
    program = "\n".join(
        [
            "import sys, importlib",
            "from absl import flags",
            "from dcgan_tf.cli import main, command_line",
            "names = [f'dcgan_tf.cli.{name}' for name in main.COMMANDS]",
            "from dcgan_tf.cli.sample import ACTIONS",
            "names += [f'dcgan_tf.cli.actions.{name}' for name in ACTIONS]",
            "for name in names: importlib.import_module(name)",
            "print(sorted({'tensorflow', 'keras', 'gradio', 'matplotlib', 'sklearn'} & set(sys.modules)))",
        ]
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "[]\n", result.stderr


def test_full_help_has_every_setting_with_its_range(cli):
    full = cli("train", "--helpfull").stdout
    for field in dataclasses.fields(Config):
        assert bool(re.search(rf"^  --(\[no\])?{field.name}\b", full, re.M)) == field.metadata["flag"], field.name
    assert "[at least 3, at most 7]" in " ".join(full.split())


def test_short_help_fits_two_screens_and_names_every_setting(cli):
    short = cli("train", "--help").stdout
    for name, fields in fields_by_section().items():
        assert f"\n{name}\n" in short
        for field in fields:
            assert field.name in short
    assert len(short.splitlines()) <= 120
    assert "--helpfull describes every flag" in short


def test_version(cli):
    for arguments in (("--version",), ("train", "--version"), ("sample", "walk", "--version")):
        assert cli(*arguments).stdout.startswith("dcgan_tf 0."), arguments


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("trian",), "unknown command 'trian'. Did you mean 'train'?"),
        (("zzz",), "Expected one of: train, sample,"),
        (("sample", "wlak"), "unknown action 'wlak'. Did you mean 'walk'?"),
        (("sample", "sweep", "--fps=3"), "unknown flag --fps"),
        (("sample", "--checkpoint=latest"), "--run_dir is required, such as --run_dir="),
        (("evaluate",), "--run_dir is required"),
        (("export",), "--run_dir is required"),
        (("explore", "--checkpoint=latest"), "--run_dir is required"),
        (("compare",), "expected folders of evaluated runs"),
        (("sample", "interpolate", "--path=zigzag"), "--path: expected one of: spherical, linear. Received: 'zigzag'"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(cli, arguments, expected):
    assert expected in one_line(cli(*arguments))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`batch_size`: expected at least 2. Received: 1", "--batch_size: expected at least 2. Received: 1"),
        ("use `loss=hinge` or `flip=True`, not `flip=False`", "use --loss=hinge or --flip, not --noflip"),
        ("`class_names=a b`, `data_dir=`", "--class_names=a b, --data_dir="),
        ("`out`: give another `out=x.png`", "--out: give another --out=x.png"),
        ("`labels` and `nothing=3` are no flags", "`labels` and `nothing=3` are no flags"),
        ("a lone ` and `batch_size", "a lone ` and `batch_size"),
    ],
)
def test_settings_in_messages_become_flags(message, expected, monkeypatch):
    values = flags.FlagValues()
    flags.DEFINE_string("out", "", "", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    assert command_line.in_flags(message) == expected


@pytest.fixture
def run_function(capsys, monkeypatch):
    """Runs a function as a command; returns its exit code, standard output and standard error."""
    monkeypatch.setattr(signal, "signal", lambda *_: signal.SIG_DFL)

    def run(function):
        command = types.SimpleNamespace(__doc__="Does nothing.", define_flags=lambda: None, run=function)
        with pytest.raises(SystemExit) as stop:
            command_line.run(command, [], "dcgan nothing")
        return stop.value.code or 0, *capsys.readouterr()

    return run


def test_messages_of_the_library_are_shown_with_flags(run_function):
    def run():
        progress.logger.info("pass a larger `steps`")
        progress.logger.warning("try `flip=True`")

    assert run_function(run) == (0, "pass a larger --steps\n", "try --flip\n")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("`steps`: two\nlines"), "--steps: two\\nlines"),
        (
            OSError(28, "No space left on device", "/x"),
            "No space left on device: '/x'. Free some space and repeat the command",
        ),
        (
            OSError(24, "Too many open files", pathlib.Path("/x")),
            "Too many open files: '/x'. Raise the limit of open files (ulimit -n 4096) and repeat the command",
        ),
        (
            PermissionError(13, "Permission denied", "\x1b[2J"),
            "Permission denied: '\\x1b[2J'. Allow access to it and repeat the command",
        ),
        (OSError("no number"), "OSError: no number"),
        (MemoryError("a  lot"), "MemoryError: a lot"),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM\nwhen allocating"),
            "ResourceExhaustedError: OOM when allocating",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_that_the_user_can_mend_are_one_line(run_function, error, expected):
    def run():
        raise error

    assert run_function(run) == (1, "", f"error: {expected}\n")


def test_a_mistake_of_the_program_keeps_its_traceback(run_function):
    with pytest.raises(ZeroDivisionError):
        run_function(lambda: 1 / 0)


@pytest.fixture
def import_fake(command, tmp_path):
    """Imports a fake TensorFlow as commands do, writes one more line, and returns the finished process."""

    def run(source, **environment):
        (tmp_path / "tensorflow.py").write_text(f"import os, types\nos.write(2, b'notice\\n')\n{source}")
        code = "import sys; from dcgan_tf.notices import import_tensorflow; import_tensorflow()"
        code += "; import tensorflow; sys.stderr.write('after')"
        return command("-c", code, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}", **environment})

    return run


GOOD = "config = types.SimpleNamespace(list_physical_devices=lambda: os.write(2, b'no GPU\\n'))"


def test_notices_of_tensorflow_are_hidden_unless_they_are_asked_for(import_fake, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    assert import_fake(GOOD).stderr == "after"
    assert import_fake(GOOD, TF_CPP_MIN_LOG_LEVEL="0").stderr == "notice\nafter"


@pytest.mark.parametrize("fault", ["raise ImportError('libcuda.so is missing')", "config = None"])
def test_notices_of_tensorflow_are_shown_where_its_import_fails(import_fake, monkeypatch, fault):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    result = import_fake(fault)
    assert result.returncode == 1
    assert result.stderr.startswith("notice\n")
    assert "Error: " in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(("argument", "expected"), [("", "False False"), ("has_whole_keras=True", "True True")])
def test_commands_import_tensorflow_without_what_they_do_not_use(command, tmp_path, argument, expected):
    source = """
import importlib, types
def has(name):
    try: return bool(importlib.import_module(name))
    except ImportError: return False
found = has("sklearn"), has("matplotlib.pyplot")
config = types.SimpleNamespace(list_physical_devices=lambda: None)
"""
    (tmp_path / "tensorflow.py").write_text(source)
    code = f"from dcgan_tf.notices import import_tensorflow; import_tensorflow({argument}); import tensorflow"
    code += "; print(*tensorflow.found); import sklearn, matplotlib.pyplot"  # Both can be imported afterward.
    result = command("-c", code, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert (result.stdout, result.stderr) == (f"{expected}\n", "")


# Prints for each command line in the arguments whether TensorFlow's first import hides its notices.
WATCHED = """
import json, sys, traceback
from absl import flags
from dcgan_tf.cli.main import main

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            functions = {frame.name for frame in traceback.extract_stack()}
            raise SystemExit("hidden" if "import_tensorflow" in functions else "seen")

sys.meta_path.insert(0, Watch())
before = set(flags.FLAGS)
for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as stop:
        print(*arguments[:2], stop.code)
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
"""


def test_every_command_hides_the_notices_of_tensorflow(command, run_dir, tmp_path):
    options = {
        "sweep": ["--directions=1"],
        "vectors": ["--name=a", "--seeds=1"],
        "arithmetic": ["--expression=a"],
        "edit": ["--expression=a", "--class=bars"],
        "project": [f"--image={next((ROOT / 'docs').rglob('*.png'))}", "--resize"],
        "directions": ["--samples=20"],
    }
    lines = [["sample", action, f"--run_dir={run_dir}", *options.get(action, [])] for action in ACTIONS]
    lines += [[name, f"--run_dir={run_dir}"] for name in ("evaluate", "export", "train")]
    lines += [["sample", "directions", f"--run_dir={run_dir}", "--class=bars", f"--features_from={run_dir}"]]
    lines += [["train", "--dry_run"], ["benchmark", "--steps_per_call=2"]]
    result = command("-c", WATCHED, json.dumps(lines), cwd=tmp_path)
    assert result.stdout.splitlines() == [f"{line[0]} {line[1]} hidden" for line in lines], result.stderr


@pytest.mark.long
def test_tensorflow_itself_says_nothing(command, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    code = "from dcgan_tf import notices; notices.import_tensorflow(); import tensorflow; print('done')"
    result = command("-c", code)
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_only_the_command_line_names_flags(cli):
    """Elsewhere, messages name settings; flags appear only within a complete command that can be typed."""
    texts = [cli(*command, "--helpfull").stdout for command in EVERY_COMMAND]
    names = set(re.findall(r"^  --(?:\[no\])?(\w+)", "\n".join(texts), re.M))
    assert {"batch_size", "verify", "expression"} < names
    found = []
    for path in (ROOT / "dcgan_tf").rglob("*.py"):
        nodes = [] if "cli" in path.parts else list(ast.walk(ast.parse(path.read_text())))
        docstrings = [node.value for node in nodes if isinstance(node, ast.Expr)]
        for node in nodes:
            text = node.value if isinstance(node, ast.Constant) and node not in docstrings else None
            if isinstance(text, str) and "python " not in text and names & set(re.findall(r"--(\w+)", text)):
                found.append((path.name, text))
    assert found == []


@pytest.mark.parametrize("name", ["data_dir", "manual_dir", "cache_dir", "worker_secret"])
def test_tilde_in_a_folder_is_the_home_folder(monkeypatch, name):
    monkeypatch.setenv("HOME", "/home/me")
    values = flags.FlagValues()
    command_line.define_config_flags(flag_values=values)
    values(["train.py", f"--{name}=~/folder"])
    assert command_line.typed_config_values(values) == {name: "/home/me/folder"}


def test_every_flag_that_names_a_file_or_a_folder_knows_the_home_folder():
    """Checks the code: such flags are defined by `define_path`, not as text."""
    text_flag = re.compile(r'DEFINE_string\(\s*"(\w+)",\s*[^,]*,\s*f?"([^"]*)', re.DOTALL)
    sources = ROOT.glob("dcgan_tf/**/*.py")
    found = [match.groups() for source in sources for match in text_flag.finditer(source.read_text())]
    assert len(found) > 10
    suspects = {name for name, text in found if re.search(r"\b(files?|folder|SavedModel)\b", text, re.IGNORECASE)}
    assert suspects == set()


def test_path_of_an_unknown_user_is_one_line(cli, tmp_path):
    result = cli("train", "--cache_dir=~nobody-at-all/x", f"--run_dir={tmp_path / 'run'}")
    assert "--cache_dir: no home folder is known" in one_line(result)


def test_settings_of_keras_precede_every_module_that_imports_it(command):
    script = "import os, sys, {package}; print(os.environ['KERAS_HOME'], 'keras' in sys.modules)"
    for package in ("dcgan_tf", "dcgan_tf.cli.main"):
        result = command("-c", script.format(package=package), environment={"KERAS_HOME": "of the user"})
        assert result.stdout.split() == ["/dev/null/keras", "False"]


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_doors(command, door):
    result = command(*door, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: python {' '.join(door)} ")


def test_sample_without_a_run_is_one_line(cli, tmp_path):
    assert "expected a folder made by train.py" in one_line(cli("sample", f"--run_dir={tmp_path}"))


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("--num=0", "--num"), ("--seed=-1", "--seed"), ("--out=grid.jpg", "--out")],
)
def test_sample_rejects_bad_values(cli, tmp_path, flag, expected):
    (tmp_path / "config.json").write_text("{}")
    assert expected in one_line(cli("sample", f"--run_dir={tmp_path}", flag))
