"""Repeated measurement by turns, so that whatever else the machine does slows all that is compared."""

import math
import statistics
import time
from collections.abc import Callable, Mapping

from dcgan_tf import progress

# Of the first repetition, whose time decides how often the others call.
MAX_TRIAL_CALLS = 1000


def measure_by_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int, seconds: float, description: str
) -> dict[str, list[float]]:
    """Times each call ``repeats`` times, one after the other in every round.

    Args:
        calls: name -> what to time. A call returns when its work is done, not only started.
        repeats: rounds.
        seconds: how long a call is repeated for one result, at least; the result is the mean of these.
        description: of the progress bar.

    Returns:
        Name -> seconds a call, one number a round.
    """
    results: dict[str, list[float]] = {name: [] for name in calls}
    with progress.bar(total=(repeats + 1) * len(calls), desc=description, leave=False) as shown:
        counts = {}
        for name, call in calls.items():
            call()  # The first one traces and allocates.
            single = _seconds_of(call, 1)
            counts[name] = min(MAX_TRIAL_CALLS, max(1, math.ceil(seconds / max(single, 1e-9))))
            shown.update()
        for _ in range(repeats):
            for name, call in calls.items():
                results[name].append(_seconds_of(call, counts[name]) / counts[name])
                shown.update()
    return results


def summarize(values: list[float]) -> tuple[float, float, float]:
    """Median, smallest and largest."""
    return statistics.median(values), min(values), max(values)


def _seconds_of(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start
