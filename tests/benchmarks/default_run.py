"""How much time a run spends outside of train steps: python -m tests.benchmarks.default_run [--steps=1000]

Trains with the default settings, or with the given flags of train.py, in a temporary folder, and times what the loop
does besides train steps. A run with fewer steps has the same intervals, and so the same shares.
"""

import contextlib
import functools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config


def timed(function: Callable[..., Any], name: str, seconds: Counter, calls: Counter) -> Callable[..., Any]:
    """Wraps a function to add up its time, without that of other timed functions that it calls."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        inner = seconds.total()
        try:
            return function(*arguments, **options)
        finally:
            seconds[name] += time.perf_counter() - start - (seconds.total() - inner)
            calls[name] += 1

    return call


def define_flags() -> None:
    command_line.define_config_flags()


def run() -> None:
    config = make_config(command_line.typed_config_values())

    from dcgan_tf.evaluation.quick import QuickEvaluation
    from dcgan_tf.runs.checkpoints import Checkpoints
    from dcgan_tf.runs.summaries import Summaries
    from dcgan_tf.training import loop
    from dcgan_tf.training.monitor import Monitor

    parts = {
        "evaluation": [(QuickEvaluation, "measure")],
        "sampling and grids": [(loop, "training_samples"), (Summaries, "samples"), (Summaries, "start")],
        "checkpoints": [(Checkpoints, "save")],
        "scalars and monitor": [
            (loop, "monitored_samples"),
            (Monitor, "observe"),
            (Summaries, "scalars"),
            (loop, "_weight_norms"),
        ],
    }
    seconds: Counter = Counter()
    calls: Counter = Counter()
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for name, functions in parts.items():
            for owner, attribute in functions:
                replacement = timed(getattr(owner, attribute), name, seconds, calls)
                stack.enter_context(mock.patch.object(owner, attribute, replacement))
        marks: dict[str, float] = {}

        def mark(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                marks[name] = time.perf_counter()
                marks[f"{name}, parts"] = seconds.total()
                return function(*arguments, **options)

            return call

        stack.enter_context(mock.patch.object(loop, "fixed_images", mark("first", loop.fixed_images)))
        stack.enter_context(mock.patch.object(loop, "save_curves", mark("last", loop.save_curves)))
        loop.train(config, f"{folder}/run")
    # What comes after the loop is timed, too, but is not part of it.
    whole = marks["last"] - marks["first"]
    print(f"\nThe loop of {config.steps:,} steps: {whole:.1f} s, with the first step's compilation\n")
    print("| Part | Calls | s | Share of the loop |\n|---|---|---|---|")
    for name in parts:
        print(f"| {name} | {calls[name]} | {seconds[name]:.2f} | {seconds[name] / whole:.2%} |")
    together = marks["last, parts"]
    print(f"| together | | {together:.2f} | {together / whole:.2%} |")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.default_run")
