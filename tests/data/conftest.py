"""A fixture that decodes pictures without starting processes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dcgan_tf.data import processes


class _ThisProcess(ThreadPoolExecutor):
    def __init__(self, *_, **__):
        super().__init__(1)


@pytest.fixture
def in_process(monkeypatch):
    """Decodes in this process, which is quicker for a few pictures and lets a test's patches take effect."""
    monkeypatch.setattr(processes, "ProcessPoolExecutor", _ThisProcess)
