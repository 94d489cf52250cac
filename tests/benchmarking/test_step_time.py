"""The model of a step's time agrees with what was measured, and with sums worked out by hand."""

import pytest

from tests.benchmarks.step_time import LINKS, Link, Networks, mean, predictions


@pytest.mark.parametrize("name", predictions())
def test_model_is_within_15_percent_of_what_was_measured(name):
    predicted, series = predictions()[name]
    assert predicted == pytest.approx(mean(series), rel=0.15)


def test_sum_around_a_ring():
    link = Link(bytes_per_second=100.0, seconds_per_message=1.0)
    assert link.sum(400, devices=1) == 0
    assert link.sum(400, devices=4) == 3 / 4 * 2 * 400 / 100 + 6  # Six messages of a quarter each


def test_step_is_the_computation_of_the_share_and_all_sums():
    networks = Networks(1.0, 0.1, more_per_image=0.05, gradients=800.0, small_sums=3, small_bytes=10.0)
    link = Link(100.0, 0.0)
    assert networks.step(1, 8, link) == pytest.approx(1.8)
    assert networks.step(2, 8, link) == pytest.approx(1 + 4 * 0.15 + 800 / 100 + 3 * 20 / 100)


def test_more_devices_than_cores_compute_in_rounds():
    networks, link = Networks(1.0, 0.0, gradients=0.0, small_sums=0), Link(1.0, 0.0)
    assert [networks.step(3, 3, link, cores=cores) for cores in (None, 3, 2, 1)] == [1, 1, 2, 3]


def test_latency_of_64_devices_is_that_of_the_documentation():
    """29 sums of 126 messages of 5 microseconds."""
    nothing = Networks(0.0, 0.0, gradients=0.0, small_bytes=0.0)
    assert nothing.step(64, 64, LINKS["InfiniBand NDR"]) == pytest.approx(29 * 126 * 5e-6)
