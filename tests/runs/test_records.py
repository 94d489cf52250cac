import json

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.runs.records import Means, RecordFile, metrics_at, read_metrics


def test_means_are_those_of_all_steps_in_whatever_calls():
    steps = np.random.default_rng(0).random((50, 2))
    means = Means({})
    for calls in ([50], [10] * 5, [7, 1, 30, 12]):
        for call in np.split(steps, np.cumsum(calls)[:-1]):
            means.add(dict(zip(("a", "b"), call.mean(0), strict=True)), len(call))
        assert means.take() == pytest.approx({"a": steps[:, 0].mean(), "b": steps[:, 1].mean()})
        assert means.sums == {}


def test_means_go_on_from_what_a_checkpoint_holds():
    means = Means({})
    means.add({"a": 1 / 3}, 7)
    resumed = Means(json.loads(json.dumps(means.sums)))
    for each in (means, resumed):
        each.add({"a": 0.7}, 3)
    assert resumed.take() == means.take() == pytest.approx({"a": (7 / 3 + 2.1) / 10})


DAMAGED_LINES = [
    b"5", b"null", b"true", b'"text"', b"[1, 2]", b"{}", b"", b'{"step": 3', b'{"step": "3", "a": 1}',
    b'{"step": 3.0, "a": 1}', b'{"step": true, "a": 1}', b'{"step": -3}', b'{"step": 99999999999999999999}',
    b'{"step": 3, "a": "1"}', b'{"step": 3, "a": null}', b'{"step": 3, "a": [1]}', b'{"step": 3, "a": {}}',
    b'{"step": 3, "a": 1' + b"0" * 400 + b"}", b'{"step": 3, "a": ' + b"[" * 100_000 + b"}", b"\xff\xfe\x00\x80",
    b'{"step": 3, "\xe9": 1}',
]  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGED_LINES, ids=lambda line: str(line[:24]))
def test_a_damaged_line_is_named_and_left_out(run, damaged, caplog):
    whole = [b'{"step": 2, "a": 0.5}', b'{"step": 4, "a": NaN}', b'{"step": 6, "a": 1e999}']
    run.metrics_file.write_bytes(b"\n".join([whole[0], damaged, *whole[1:], b'{"step": 8, "a']))
    for _ in range(2):
        assert [record["step"] for record in read_metrics(run.metrics_file)] == [2, 4, 6]
    assert caplog.messages == [f"'{run.metrics_file}' is damaged. Skipped 1 of its lines: 2"]
    assert metrics_at(run, 3) == {}
    with RecordFile(run.metrics_file, first_step=4) as records:
        records.write(10, {"a": 2.0})
    assert [json.loads(line)["step"] for line in run.metrics_file.read_bytes().splitlines()] == [2, 4, 10]


def test_full_disk_is_named_once_and_not_met_again_at_the_end(tmp_path):
    with (
        open("/dev/full", "ab", buffering=0) as full,
        RecordFile(tmp_path / "metrics.jsonl", first_step=0) as records,
    ):
        records._file.close()
        records._file = full
        with pytest.raises(UserError, match=r"of step 10 cannot be .*metrics.jsonl' \(No space.*Free some space and"):
            records.write(10, {"a": 2.0})
