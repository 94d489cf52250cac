"""Times several calls in turn, so that other load on the machine slows all of them."""

import math
import statistics
import time
from collections.abc import Callable, Mapping

from dcgan_tf import progress

# Maximum number of calls per measurement. The time of a single call determines the number.
MAX_TRIAL_CALLS = 1000


def measure_by_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int, seconds: float, description: str, period: int = 1
) -> dict[str, list[float]]:
    """Times each call ``repeats`` times. Every round measures all calls, one after the other.

    Args:
        calls: Name -> the call to time. It must return only when its work is done.
        repeats: Number of rounds.
        seconds: Minimum time for which a call is repeated for one result, which is the mean.
        description: Description of the progress bar.
        period: Every result is the mean of a multiple of this many calls. Give the number of calls after which the work
            of a call repeats, such as a penalty in every fourth step.

    Returns:
        Name -> seconds per call, one number per round.
    """
    results: dict[str, list[float]] = {name: [] for name in calls}
    with progress.bar(total=(repeats + 1) * len(calls), desc=description, leave=False) as shown:
        counts = {}
        for name, call in calls.items():
            call()  # The first call traces and allocates.
            single = _seconds_of(call, 1)
            count = min(MAX_TRIAL_CALLS, max(1, math.ceil(seconds / max(single, 1e-9))))
            counts[name] = math.ceil(count / period) * period
            shown.update()
        for _ in range(repeats):
            for name, call in calls.items():
                results[name].append(_seconds_of(call, counts[name]) / counts[name])
                shown.update()
    return results


def summarize(values: list[float]) -> tuple[float, float, float]:
    """The median, the smallest and the largest value."""
    return statistics.median(values), min(values), max(values)


def _seconds_of(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start
