"""Speed and size of an exported model compared with the live networks: python -m tests.benchmarks.serving

The exported model runs in the C++ session of a server, in this process, through the C API; HTTP and gRPC are not
measured. The networks are untrained ones of the default configuration at 28x28 pixels, or those of the run that is
named as an argument. On one core: taskset -c 0 python -m tests.benchmarks.serving
"""

import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from dcgan_tf.config.making import make_config
from dcgan_tf.generation.networks import Networks, load_networks
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.models.pixels import to_uint8
from dcgan_tf.runs import run_directory
from dcgan_tf.serving.c_api import Session
from dcgan_tf.serving.saved_model import WARM_UP_ROWS, export_networks, read_signatures
from dcgan_tf.serving.signatures import build_signatures

ROUNDS = 300
MAX_SECONDS = 10


def measure(calls: dict[str, Callable[[], object]]) -> dict[str, np.ndarray]:
    """Seconds of each call. The calls alternate, so that whatever else the machine does slows all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
        call()
    end = time.monotonic() + MAX_SECONDS
    for _ in tqdm(range(ROUNDS), leave=False, disable=None):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
        if time.monotonic() > end:
            break
    return {name: np.array(values) for name, values in seconds.items()}


def main() -> None:
    if len(sys.argv) > 1:
        networks = load_networks(run_directory.load_run(sys.argv[1]))
    else:
        config = make_config({"image_size": "28", "channels": "1"})
        pair = configured_generator(config, seed=0), configured_discriminator(config, seed=0)
        networks = Networks(config, *pair, step=0)
    generator, discriminator = networks.generator, networks.discriminator
    if networks.config.conditional:
        sys.exit("error: expected a run that is not conditional")
    print(f"{len(os.sched_getaffinity(0))} core(s), images of {'x'.join(map(str, generator.output.shape[1:]))}")
    with tempfile.TemporaryDirectory() as folder:
        path = export_networks(networks, pathlib.Path(folder), keep_versions=1)
        starts = []
        for _ in range(5):
            start = time.perf_counter()
            session = Session(path, read_signatures(path))
            starts.append(time.perf_counter() - start)
        print(f"load: {np.median(starts):.2f} s")
        weights = 4 * (generator.count_params() + discriminator.count_params())
        sizes = {file.name: file.stat().st_size for file in path.rglob("*") if file.is_file()}
        print(f"on disk: {sum(sizes.values()):,} bytes, of which saved_model.pb {sizes['saved_model.pb']:,}")
        stored = sum(size for name, size in sizes.items() if name.startswith("variables.data"))
        print(f"variables: {stored:,} bytes, of which weights {weights:,}")
        print("\n| Call | Rows | p50 ms | p99 ms | Images/s |\n|---|---|---|---|---|")
        for rows in WARM_UP_ROWS:
            examples = {signature.name: signature.make_example(rows) for signature in build_signatures(networks)}
            z = examples["serving_default"]["z"]
            report = measure(
                {
                    "exported `serving_default`": lambda z=z: session.run("serving_default", {"z": z}),
                    "live, called": lambda z=z: to_uint8(generator(z, training=False)).numpy(),
                    "live, `predict()`": lambda z=z: generator.predict(z, batch_size=len(z), verbose=0),
                    "exported `sample_png`": lambda example=examples["sample_png"]: session.run("sample_png", example),
                }
            )
            for name, seconds in report.items():
                median, slowest = np.percentile(seconds, [50, 99]) * 1000
                print(f"| {name} | {rows} | {median:.2f} | {slowest:.2f} | {1000 * rows / median:,.0f} |")


if __name__ == "__main__":
    main()
