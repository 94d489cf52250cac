import pytest

from tests.training.outcomes import end_quickly


@pytest.fixture
def quick_end(monkeypatch):
    """Ends the runs of this process as `end_quickly` says."""
    end_quickly(monkeypatch)
