"""The table that a benchmark prints, and the JSON that it writes."""

import dataclasses
import pathlib

from dcgan_tf import files
from dcgan_tf.benchmarking.measure import Benchmark
from dcgan_tf.benchmarking.timing import summarize

# Name of a metric -> its description, and its number format.
DESCRIPTIONS = {
    "train_step_ms": ("train step, ms", "{:,.1f}"),
    "images_per_second": ("train step, images/s", "{:,.0f}"),
    "one_step_per_call_ms": ("train step with `steps_per_call=1`, ms", "{:,.1f}"),
    "bare_step_ms": ("bare train step, no input and no loop, ms", "{:,.1f}"),
    "around_the_bare_step_share": ("overhead around the bare step", "{:+.1%}"),
    "input_images_per_second": ("input pipeline alone, images/s", "{:,.0f}"),
    "sampling_images_per_second": ("sampling, images/s", "{:,.0f}"),
    "train_step_flops_per_second": ("train step, GFLOP/s", "{:,.1f}"),
    "matmul_flops_per_second": ("matrix product, GFLOP/s", "{:,.1f}"),
    "share_of_matmul_rate": ("share of the matrix-product rate", "{:.1%}"),
    "flops_per_step": ("train step, GFLOP", "{:,.2f}"),
    "peak_memory_bytes": ("peak memory of training, MiB", "{:,.0f}"),
    "device_peak_memory_bytes": ("peak memory on the GPU, MiB", "{:,.0f}"),
    "time_to_first_step_seconds": ("from the command to the end of the first step, s", "{:.1f}"),
    "speed_up": ("speed-up", "{:.2f}"),
    "first_call_seconds": ("first step, which compiles, s", "{:.1f}"),
}


def format_report(benchmark: Benchmark) -> str:
    """A table of all metrics with their ranges, and the conditions of the measurement."""
    protocol = benchmark.protocol
    lines = [
        f"{protocol['device']}; TensorFlow {protocol['tensorflow']}, oneDNN {'on' if protocol['one_dnn'] else 'off'}",
        f"{'x'.join(map(str, benchmark.config.sample_shape))}, batch {protocol['batch_size']}, data: "
        f"{protocol['data']}, {protocol['images']:,} rows, {protocol['steps_per_call']} steps per call, "
        f"median and range of {protocol['repeats']} rounds",
        "",
    ]
    rows = []
    for name in (name for name in DESCRIPTIONS if name in benchmark.figures):
        values = benchmark.rounds.get(name)
        spread = f"{_write(name, min(values))} to {_write(name, max(values))}" if values else ""
        rows.append((DESCRIPTIONS[name][0], _write(name, benchmark.figures[name]), spread))
    lines += _table(("Metric", "Median", "Range"), rows)
    for field, figures in benchmark.variants.items():
        value = not getattr(benchmark.config, field)
        rows = [(DESCRIPTIONS[name][0], _write(name, figures[name]), "") for name in figures]
        lines += ["", *_table((f"With `{field}={value}`", "Median", ""), rows)]
    if benchmark.breakdown:
        total = sum(benchmark.breakdown.values())
        rows = [(part, f"{value:,.2f}", f"{value / total:.1%}") for part, value in benchmark.breakdown.items()]
        lines += ["", *_table(("Part of a step", "ms", "Share"), rows)]
    return "\n".join(lines)


def write_json(benchmark: Benchmark, path: pathlib.Path) -> None:
    """Writes the metrics by name, the values of all rounds, the protocol and the settings; whole or not at all."""
    content = {
        **benchmark.figures,
        "spread": {name: list(summarize(values)[1:]) for name, values in benchmark.rounds.items()},
        "rounds": benchmark.rounds,
        "variants": benchmark.variants,
        "breakdown_ms": benchmark.breakdown,
        "protocol": benchmark.protocol,
        "config": dataclasses.asdict(benchmark.config),
    }
    files.write_json(path, content)


def _write(name: str, value: float) -> str:
    """A number in the unit of the table."""
    if "flops" in name:
        value /= 1e9
    elif "bytes" in name:
        value /= 2**20
    return DESCRIPTIONS[name][1].format(value)


def _table(head: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    return [
        f"{first:<{widths[0]}}  {second:>{widths[1]}}  {third:>{widths[2]}}".rstrip()
        for first, second, third in (head, *rows)
    ]
