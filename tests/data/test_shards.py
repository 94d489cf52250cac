import functools
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.data.pictures import NamedPicture, Recipe
from dcgan_tf.data.shards import Shard, ShardResult, convert_shard, load_results, plan_shards, write_header
from dcgan_tf.errors import UserError


def named_pictures(count, side=64):
    def load(number):
        return Image.new("RGB", (side, side), (number % 256,) * 3)

    return [NamedPicture(f"{number}.png", number, functools.partial(load, number)) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "row_bytes", "expected"),
    [
        (5000, 28 * 28, [(0, 2048), (2048, 4096), (4096, 5000)]),
        (5000, 64 * 64 * 3, [(0, 2048), (2048, 4096), (4096, 5000)]),
        (400, 256 * 256 * 3, [(0, 170), (170, 340), (340, 400)]),  # 32 MiB
        (2, 4096 * 4096 * 3, [(0, 1), (1, 2)]),
        (0, 100, []),
    ],
)
def test_shards_are_bounded_by_rows_and_by_bytes(count, row_bytes, expected):
    assert [(shard.first, shard.stop) for shard in plan_shards(count, row_bytes)] == expected


def test_rows_are_written_as_they_are_made(tmp_path):
    """Of 6 MB of rows, less than 1 MB is in memory at a time."""
    rows_file, recipe = tmp_path / "images.npy", Recipe(64, 64, 3)
    write_header(rows_file, (512, 64, 64, 3))
    tracemalloc.start()
    result = convert_shard(Shard(0, 512), named_pictures(512), recipe, rows_file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.labels == list(range(512))
    assert np.load(rows_file)[:, 5, 7, 1].tolist() == [number % 256 for number in range(512)]
    assert peak < 1_000_000


def test_picture_beyond_the_memory_stops_the_work_by_name(tmp_path):
    def load():
        raise MemoryError

    write_header(tmp_path / "images.npy", (1, 4, 4, 3))
    with pytest.raises(UserError, match=r"'huge\.png': not enough memory to decode this picture"):
        convert_shard(Shard(0, 1), [NamedPicture("huge.png", 0, load)], Recipe(4, 4, 3), tmp_path / "images.npy")


@pytest.mark.parametrize("content", ["", "5", "{}", '{"labels": 3, "bad": []}', '{"labels": [1], "bad": []}'])
def test_damaged_result_counts_as_unfinished(tmp_path, content):
    finished = ShardResult(Shard(2, 4), [7], [("name", "reason")])
    finished.save(tmp_path)
    (tmp_path / "shard-0.json").write_text(content)
    assert load_results(tmp_path, [Shard(0, 2), Shard(2, 4), Shard(4, 6)]) == {Shard(2, 4): finished}
