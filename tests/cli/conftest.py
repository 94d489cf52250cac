"""Fixtures that run the command `sample` in this process, in the test's own folder."""

import pytest

from tests.conftest import one_line


@pytest.fixture
def sample(cli, tmp_path, monkeypatch):
    """Runs `dcgan sample ARGUMENTS` and returns what it prints: `sample("walk", "--seed=3")`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = cli("sample", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture
def refused(cli, tmp_path, monkeypatch):
    """Runs `dcgan sample ARGUMENTS`, which must fail, and returns its one-line error."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: one_line(cli("sample", *arguments))
