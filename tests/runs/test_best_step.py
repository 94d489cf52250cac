import json

import pytest

from dcgan_tf.runs.records import QUICK_METRIC, best_step


def test_best_step_is_the_smallest_among_those_given(tmp_path):
    path = tmp_path / "metrics.jsonl"
    records = [
        {"step": 2, QUICK_METRIC: 3.0},
        {"step": 3},
        {"step": 4, QUICK_METRIC: 1.0},
        {"step": 6, QUICK_METRIC: 2.0},
        {"step": 8, QUICK_METRIC: 2.0},
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert best_step(path, [2, 3, 4, 6]) == 4
    assert best_step(path, [2, 3, 8, 6]) == 6  # The earlier of two alike.
    assert best_step(path, [3]) is None
    assert best_step(tmp_path / "missing", [3]) is None


@pytest.mark.parametrize("step", [2, 4, 6])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "null", '"0.1"', "true", "[0]", "1" + "0" * 400])
def test_no_number_is_never_the_best(tmp_path, step, value):
    path = tmp_path / "metrics.jsonl"
    values = {2: "3.0", 4: "1.5", 6: "2.0", step: value}
    path.write_text("".join(f'{{"step": {each}, "{QUICK_METRIC}": {values[each]}}}\n' for each in (2, 4, 6)))
    assert best_step(path, [2, 4, 6]) == (6 if step == 4 else 4)
    assert best_step(path, [step]) is None
