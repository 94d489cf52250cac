"""A results file survives what can happen to it while a measurement takes hours."""

import json

import pytest

from tests.benchmarks.rows import Rows


@pytest.mark.parametrize("cut_off", ['{"seed": 2, "val', "\0\0\0", "3", '{"seed": 2}\n["seed"]'])
def test_cut_off_line_is_measured_again_and_the_others_stay(tmp_path, capsys, cut_off):
    path = tmp_path / "results.jsonl"
    path.write_text('{"seed": 1, "value": 5}\n' + cut_off)
    rows = Rows(str(path), ("seed",))
    assert capsys.readouterr().out == (
        f"{path}: line {2 + cut_off.count(chr(10))} is not a JSON object: skipped, its row is measured again\n"
    )
    assert rows.matching(seed=1) == [{"seed": 1, "value": 5}]
    rows.add(seed=3, value=7)
    assert json.loads(path.read_text().splitlines()[-1]) == {"seed": 3, "value": 7}
    assert Rows(str(path), ("seed",)).matching(seed=3) == [{"seed": 3, "value": 7}]


def test_run_is_complete_at_its_last_step_or_when_its_time_was_up(tmp_path):
    rows = Rows(str(tmp_path / "results.jsonl"), ("seed", "step"))
    rows.add(seed=0, step=100, seconds=5.0)
    assert rows.has_run(100, float("inf"), seed=0)
    assert rows.has_run(200, 5.0, seed=0)
    assert not rows.has_run(200, 6.0, seed=0)
    assert not rows.has_run(100, float("inf"), seed=1)


def test_whole_last_line_without_its_end_counts(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    path.write_text('{"seed": 1}')
    Rows(str(path), ("seed",)).add(seed=2)
    assert path.read_text() == '{"seed": 1}\n{"seed": 2}\n'
    assert "skipped" not in capsys.readouterr().out
