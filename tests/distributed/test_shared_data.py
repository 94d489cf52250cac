"""Three processes read prepared data from one folder, which is how workers read it from shared storage."""

import collections
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.data.batches import BatchOrder
from tests.conftest import ROOT

IMAGES, BATCH, STEPS, WORKERS = 60, 12, 10, 3

# Prints the rows that one of the workers gets in each step, as the loop asks for them, and all rows that it reads from
# the file. Several steps may be read at once, so the two orders differ.
READER = """
import json, os, sys, types
from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.data.shards import HEADER_BYTES
from dcgan_tf.distributed.workers import Workers
from dcgan_tf.training import loop
settings, index, count = json.loads(sys.argv[1])
config, data = prepare(make_config(settings))
rows = {image.tobytes(): row for row, image in enumerate(data.images)}
read, preadv = [], os.preadv
def recording(file, buffers, offset):
    read.append((offset - HEADER_BYTES) // sum(buffer.nbytes for buffer in buffers))
    return preadv(file, buffers, offset)
os.preadv = recording
workers = Workers(tuple(f"a:{number + 1}" for number in range(count)), index)
strategy = types.SimpleNamespace(num_replicas_in_sync=count)
batches = loop._local_batches(workers, strategy, data, config, 0)
print(json.dumps([[[rows[image.numpy().tobytes()] for image in images] for images, _ in batches], read]))
"""


@pytest.mark.long
def test_each_row_of_a_step_is_read_by_exactly_one_of_three_processes(tmp_path):
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(tmp_path / f"{number:02d}.png")
    settings = {
        "dataset": "folder", "data_dir": str(tmp_path), "cache_dir": str(tmp_path / "shared"), "image_size": "16",
        "batch_size": BATCH, "steps": STEPS, "seed": 5,
    }  # fmt: skip
    # All at once, so that they prepare at once, too: one does, and the others wait for it.
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", READER, json.dumps([settings, index, WORKERS])], cwd=ROOT, stdout=subprocess.PIPE
        )
        for index in range(WORKERS)
    ]
    got = [json.loads(process.communicate(timeout=1200)[0].splitlines()[-1]) for process in processes]
    order = BatchOrder(IMAGES, BATCH, seed=5)
    for step in range(STEPS):
        parts = [steps[step] for steps, _ in got]
        assert [len(part) for part in parts] == [BATCH // WORKERS] * WORKERS
        # No batch here spans two epochs, so it has no row twice.
        assert np.concatenate(parts).tolist() == order.rows(step).tolist()
    read = collections.Counter(row for _, rows in got for row in rows)
    assert read == dict.fromkeys(range(IMAGES), BATCH * STEPS // IMAGES)
