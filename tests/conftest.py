"""What all tests share: real data, a data folder for the session alone, and small configurations."""

import dataclasses
import logging
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from absl import flags

from dcgan_tf.cli import main
from dcgan_tf.config.settings import Config

pytest_plugins = ["tests.small_runs"]
# This must be set before NumPy and scikit-learn are imported: their threads wait for each other by spinning, and pytest
# runs two processes on two cores.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

ROOT = pathlib.Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

# nohup, or a shell that starts the tests in the background, ignores signals for all their processes.
for number, default in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, default)

# Small enough that a test that trains takes only seconds, yet with every part of the default run.
SMALL = {
    "split": "train[:256]",
    "image_size": "16",
    "channels": "1",
    "batch_size": 16,
    "latent_dim": 8,
    "generator_filters": "8",
    "discriminator_filters": "8",
    "steps": 12,
    "steps_per_call": 4,
    "log_every": 4,
    "sample_every": 8,
    "evaluate_every": 0,
    "checkpoint_every": 6,
    "mixed_precision": False,  # The same arithmetic on every machine
    "penalty": "none",
}


@pytest.fixture(scope="session", autouse=True)
def data_folders(tmp_path_factory):
    """Keeps the tests out of the user's data folders, and lets them share what they prepare."""
    folder = tmp_path_factory.mktemp("data")
    # Preparing MNIST takes long, so the processes of pytest-xdist share it, too.
    session = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    variables = {"TFDS_DATA_DIR": str(session / "tfds"), "XDG_CACHE_HOME": str(folder / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture
def small_config():
    """Makes a small complete configuration: `small_config(dropout=0.3)`."""
    return lambda **changes: dataclasses.replace(Config(), **{**SMALL, **changes})


@pytest.fixture
def small_flags():
    """The same as flags: `small_flags(dropout=0.3)`."""
    return lambda **changes: [f"--{name}={value}" for name, value in {**SMALL, **changes}.items()]


@pytest.fixture
def command():
    """Runs ``python ARGUMENTS`` from the project's root: `command("train.py", "--steps=0")`."""

    def run(*arguments, environment=None, **options):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=options.pop("cwd", ROOT),
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 240),
            **options,
        )

    return run


@pytest.fixture
def said(caplog):
    """The library's messages, including those of level INFO: `said.text`, `said.messages`."""
    caplog.set_level(logging.INFO, "dcgan_tf")
    return caplog


@pytest.fixture
def cli(capsys):
    """Runs `dcgan ARGUMENTS` within this process: `cli("train", "--steps=0")`."""

    def run(*arguments):
        before = set(flags.FLAGS)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:  # noqa: PT012
            patch.setattr(sys, "argv", ["dcgan", *map(str, arguments)])
            try:
                main.main()
            finally:
                for name in set(flags.FLAGS) - before:
                    delattr(flags.FLAGS, name)
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, stop.value.code or 0, shown.out, shown.err)

    return run


def networks_of(gan, step=1):
    """The networks of a GAN as they are sampled from and exported: both in float32."""
    from dcgan_tf.generation.networks import Networks
    from dcgan_tf.models.configured import configured_discriminator

    discriminator = configured_discriminator(gan.config, seed=0)
    discriminator.set_weights(gan.discriminator.get_weights())
    return Networks(gan.config, gan.ema_generator, discriminator, step)


@pytest.fixture(scope="session")
def real_data():
    """Finds a file or folder of real data kept next to the project; skips where it is absent, but not in CI."""

    def find(name):
        path = SHARED_DATA / name
        if not path.exists():
            message = f"needs the real data {name} next to the project, in {SHARED_DATA.relative_to(ROOT.parent)}"
            if os.environ.get("DCGAN_TF_REQUIRE_REAL_DATA"):
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find


def one_line(result):
    """The single error line of a command that failed for a reason the user can fix."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert result.stderr.rstrip().endswith(errors[0]), "the error is not the last thing said"
    return errors[0]
