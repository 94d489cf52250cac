"""Signals and closed streams, in small processes of their own."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from dcgan_tf import progress
from dcgan_tf.cli import signals
from dcgan_tf.cli.train import stop_requests
from dcgan_tf.distributed import strategies
from tests.conftest import ROOT

# Logs to a file what it does, since its terminal is closed.
HUNG_UP = """
import pathlib, signal, sys, time
from dcgan_tf.cli import signals
log = pathlib.Path(sys.argv[1])
signals.handle((signal.SIGTERM, signal.SIGHUP), lambda number, _: log.write_text(log.read_text() + f"{number} "))
log.write_text("ready ")
while "15" not in log.read_text():
    time.sleep(0.01)  # A pause would miss a signal that came just before it.
print("to a terminal that is gone", flush=True)
print("error", file=sys.stderr, flush=True)
log.write_text(log.read_text() + "end")
"""

# Says by its exit code whether an opened file has the number of a standard stream.
CLOSED = """
import os, sys
from dcgan_tf.cli import signals
signals.open_closed_streams()
print("seen or not"), print("seen or not", file=sys.stderr), sys.stdin.read()
sys.exit(os.open(sys.argv[0], os.O_RDONLY) if len(sys.argv) else 0)
"""


@pytest.fixture(autouse=True)
def nothing_hung_up():
    yield
    signals._hung_up.clear()


def run_script(text, folder, *arguments, **options):
    script = folder / "script.py"
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, script, *arguments], env=environment, **options)


def wait_for(process, log, text):
    while text not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None
        time.sleep(0.01)


def test_closed_terminal_is_handled_once_and_printing_to_it_stops_nothing(tmp_path):
    outer, inner = pty.openpty()
    log = tmp_path / "log"
    process = run_script(HUNG_UP, tmp_path, log, stdin=inner, stdout=inner, stderr=inner)
    os.close(inner)
    wait_for(process, log, "ready")
    os.close(outer)
    process.send_signal(signal.SIGHUP)
    wait_for(process, log, "1 ")
    process.send_signal(signal.SIGHUP)  # Shell and kernel send one each.
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert log.read_text() == "ready 1 15 end"


def test_log_file_is_written_after_a_hang_up(tmp_path):
    log, output = tmp_path / "log", tmp_path / "output"
    process = run_script(HUNG_UP, tmp_path, log, stdout=open(output, "w"), stderr=subprocess.STDOUT)
    wait_for(process, log, "ready")
    process.send_signal(signal.SIGHUP)
    wait_for(process, log, "1 ")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert output.read_text() == "to a terminal that is gone\nerror\n"


def test_ignored_hang_up_stays_ignored(monkeypatch):
    """As in a command that nohup started."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signals.handle((signal.SIGHUP,), lambda *_: pytest.fail("handled")) == {}
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 1, 2)], ids=str)
def test_file_never_takes_the_place_of_a_closed_stream(tmp_path, closed):
    close = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    script = tmp_path / "script.py"
    script.write_text(CLOSED)
    command = f"exec '{sys.executable}' '{script}' {close}"
    result = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=20
    )
    assert result.returncode > 2, result.stderr
    assert result.stdout == (b"" if 1 in closed else b"seen or not\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_stops_a_training_and_the_second_one_acts_as_before(monkeypatch, number, capsys):
    monkeypatch.setattr(signals, "_leave_terminal", lambda: None)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with progress.shown(), stop_requests() as is_stop_requested:
            assert not is_stop_requested()
            os.kill(os.getpid(), number)
            assert is_stop_requested()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().out == f"{signal.Signals(number).name}: finishing the step and saving ...\n"


def test_while_tensorflow_connects_workers_signals_end_the_process_at_once():
    handler = signal.getsignal(signal.SIGTERM)
    with strategies._signals_by_default():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == handler
