"""Pictures decoded without processes of their own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dcgan_tf.data import processes


class _ThisProcess(ThreadPoolExecutor):
    def __init__(self, *_, **__):
        super().__init__(1)


@pytest.fixture
def in_process(monkeypatch):
    """Decodes in this process: quicker for a few pictures, and what a test has replaced is replaced there, too."""
    monkeypatch.setattr(processes, "ProcessPoolExecutor", _ThisProcess)
