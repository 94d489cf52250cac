import dataclasses
import re
import signal
import subprocess
import sys

import pytest
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.cli.sample import ACTIONS
from dcgan_tf.config.settings import Config
from tests.conftest import ROOT, one_line


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--steps=0", "--steps: expected at least 1. Received: 0"),
        ("--steps=many", "many"),
        (
            "--loss=hinje",
            "wasserstein, relativistic_average. Received: 'hinje'",
        ),
        ("--preset=quick", "unknown preset 'quick'"),
        ("--stepz=5", "Unknown command line flag 'stepz'"),
        ("--image_size=300", "--image_size: expected sides from 16 to 256 pixels. Received: '300'"),
        ("mnist", "expected flags only"),
    ],
)
def test_mistyped_flag_is_one_line_and_leaves_nothing(command, tmp_path, flag, expected):
    result = command("train.py", flag, f"--run_dir={tmp_path / 'run'}")
    assert expected in one_line(result)
    assert not (tmp_path / "run").exists()


INTERRUPTER = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name in ("absl", "keras", "numpy"):
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""
COMMANDS = [
    ["train.py"],
    *(["-m", f"dcgan_tf.{name}"] for name in ("sample", "explore", "evaluate", "compare", "benchmark", "data")),
    *(["-m", f"export.{name}"] for name in ("saved_model", "client")),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[-1])
def test_interrupt_while_a_command_starts_ends_it_without_a_traceback(command, tmp_path, arguments):
    """Python runs sitecustomize.py at its start; this one is a Ctrl-C at the first import that takes time."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTER)
    result = command(*arguments, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert (result.returncode, result.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("ignored", [False, True])
def test_interrupt_is_one_line_unless_it_is_ignored(ignored):
    code = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN) if sys.argv.pop() == "True" else None
import dcgan_tf.interrupt
from dcgan_tf.cli import command_line
command_line.run(lambda: os.kill(os.getpid(), signal.SIGINT))
"""
    result = subprocess.run([sys.executable, "-c", code, str(ignored)], cwd=ROOT, capture_output=True, text=True)
    line = "error: interrupted. Repeat the command to continue\n"
    assert (result.returncode, result.stderr) == ((0, "") if ignored else (130, line))


def test_help_lists_every_setting(command):
    result = command("train.py", "--helpfull")
    for field in dataclasses.fields(Config):
        assert (f"{field.name}:" in result.stdout) == field.metadata["flag"]
    assert "[at least 3, at most 7]" in " ".join(result.stdout.split())


def test_short_help_lists_the_settings_too(command):
    assert "--[no]fresh_noise" in command("train.py", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["--num", "--run_dir"]),
        (["images"], ["--psi", "--run_dir", "--shift", "--vectors"]),
        (["project"], ["--image", "--[no]resize", "--saved_model", "--vectors"]),
    ],
)
def test_help_of_an_action_lists_its_flags(command, arguments, expected):
    result = command("-m", "dcgan_tf", "sample", *arguments, "--help")
    for text in (*ACTIONS, *(f"  {flag}:" for flag in expected)):
        assert text in result.stdout


@pytest.mark.parametrize("name", ["data_dir", "manual_dir", "cache_dir", "worker_secret"])
def test_tilde_in_a_folder_is_the_home_folder(monkeypatch, name):
    monkeypatch.setenv("HOME", "/home/me")
    values = flags.FlagValues()
    command_line.define_config_flags(flag_values=values)
    values(["train.py", f"--{name}=~/folder"])
    assert command_line.typed_config_values(values) == {name: "/home/me/folder"}


def test_every_flag_that_names_a_file_or_a_folder_knows_the_home_folder():
    """In the code that defines them: as `define_path`, not as text."""
    text_flag = re.compile(r'DEFINE_string\(\s*"(\w+)",\s*[^,]*,\s*f?"([^"]*)', re.DOTALL)
    sources = [*ROOT.glob("*.py"), *ROOT.glob("dcgan_tf/**/*.py"), *ROOT.glob("export/*.py")]
    found = [match.groups() for source in sources for match in text_flag.finditer(source.read_text())]
    assert len(found) > 10
    suspects = {name for name, text in found if re.search(r"\b(files?|folder|SavedModel)\b", text, re.IGNORECASE)}
    assert suspects == set()


def test_path_of_an_unknown_user_is_one_line(command, tmp_path):
    result = command("train.py", "--cache_dir=~nobody-at-all/x", f"--run_dir={tmp_path / 'run'}")
    assert "flag --cache_dir=~nobody-at-all/x: no home folder is known" in one_line(result)


def test_settings_of_keras_precede_every_module_that_imports_it(command):
    script = "import os, sys, {package}; print(os.environ['KERAS_HOME'], 'keras' in sys.modules)"
    for package in ("dcgan_tf", "export"):
        result = command("-c", script.format(package=package), environment={"KERAS_HOME": "of the user"})
        assert result.stdout.split() == ["/dev/null/keras", "False"]


def test_sample_without_a_run_is_one_line(command, tmp_path):
    result = command("-m", "dcgan_tf", "sample", f"--run_dir={tmp_path}")
    assert "expected a folder made by train.py" in one_line(result)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("--num=0", "--num"), ("--seed=-1", "--seed"), ("--out=grid.jpg", "--out")],
)
def test_sample_refuses_bad_values(command, tmp_path, flag, expected):
    (tmp_path / "config.json").write_text("{}")
    assert expected in one_line(command("-m", "dcgan_tf", "sample", f"--run_dir={tmp_path}", flag))
