"""The script for a GPU, as far as no GPU is needed: what it does with parts that fail, hang or are cut off."""

import importlib
import json
import sys
import time

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tests.gpu import run, trace
from tests.gpu.part import PARTS
from tests.gpu.report import format_report

MAX_SECONDS = 8 * 60
WRITES = "import json, sys; json.dump({{'found': 1}}, open(sys.argv[1], 'w')); {then}"
BEHAVIORS = {
    "good": WRITES.format(then="print('said')"),
    "crashing": WRITES.format(then="sys.exit(3)"),
    "hanging": WRITES.format(then="import time; time.sleep(60)"),
}


def run_parts(stages, tmp_path, monkeypatch, *, deadline=60.0, side_by_side=True):
    monkeypatch.setattr(run, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(run, "MIN_SECONDS", 1.0)
    results = run.Results(tmp_path, {"small": True})

    def command_of(part, _):
        return [sys.executable, "-c", BEHAVIORS[part.name], str(tmp_path / f"{part.name}.json")]

    run.run_stages(
        stages, command_of, tmp_path, tmp_path, results, deadline=time.monotonic() + deadline, side_by_side=side_by_side
    )
    return json.loads((tmp_path / "results.json").read_text())["parts"]


def test_all_stages_fit_and_their_parts_exist():
    # The last stage takes what is left.
    assert sum(max(part.seconds for part in stage) for stage in run.STAGES[:-1]) <= MAX_SECONDS - 45
    assert {part.name for stage in run.STAGES for part in stage} == set(PARTS)
    for target in PARTS.values():
        module, function = target.split(":")
        if module != "device":  # It turns TensorFlow's log on when it is imported.
            assert callable(getattr(importlib.import_module(f"tests.gpu.{module}"), function))


def test_a_part_that_crashes_or_hangs_costs_only_itself(tmp_path, monkeypatch):
    stages = [[run.Part("crashing", 20), run.Part("hanging", 3)], [run.Part("good", 20)]]
    parts = run_parts(stages, tmp_path, monkeypatch)
    assert parts["crashing"]["status"] == "failed with exit code 3"
    assert parts["hanging"]["status"] == "ended after its 3 s"
    assert parts["good"]["status"] == "done"
    assert all(part["found"] == 1 for part in parts.values())
    assert "said" in (tmp_path / "log.txt").read_text()
    assert "| hanging | ended after its 3 s |" in (tmp_path / "report.md").read_text()


def test_what_has_no_time_left_is_named(tmp_path, monkeypatch):
    parts = run_parts([[run.Part("good", 20)]], tmp_path, monkeypatch, deadline=0.5)
    assert parts["good"]["status"] == "left out: no time was left"


def test_interrupted_it_leaves_no_part_running(tmp_path, monkeypatch):
    started = []

    class Recorded(run.Process):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            started.append(self)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "Process", Recorded)
    monkeypatch.setattr(run.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_parts([[run.Part("hanging", 20)]], tmp_path, monkeypatch)
    assert [process.is_running() for process in started] == [False]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sm90_xmma_fprop_implicit_gemm_tf32f32", "convolutions and matrix products"),
        ("void cudnn::batchnorm_bwtr_nhwc_semiPersist<float>", "batch normalization"),
        ("MemcpyH2D", "copies"),
        ("tensorflow::ApplyAdamKernel<float>", "Adam"),
        ("Mul_GPU_DT_FLOAT_DT_FLOAT_kernel", "element by element"),
    ],
)
def test_kernels_are_sorted_by_their_names(name, kind):
    assert trace.kind_of(name) == kind


def test_a_trace_is_read():
    """Two kernels of 2 and 1 ms that overlap by half of the second, 1 ms of nothing, and a copy of 0.5 ms."""
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/device:GPU:0")
    events = ((1, "gemm", 0.0, 2.0), (2, "mul", 1.5, 1.0), (3, "MemcpyD2H", 3.5, 0.5))
    line = plane.lines.add(name="Stream #1(Compute)")
    for number, name, start, length in events:
        plane.event_metadata[number].name = name
        line.events.add(metadata_id=number, offset_ps=int(start * 1e9), duration_ps=int(length * 1e9))
    plane.lines.add(name="TensorFlow Ops").events.add(metadata_id=1, duration_ps=10**12)
    found = trace.read_trace(space, steps=2)
    assert found["ms"] == pytest.approx(2.0)
    assert found["busy_share"] == pytest.approx(3.0 / 4.0)
    assert found["kernels"] == 1.5
    assert found["kinds"] == pytest.approx(
        {"convolutions and matrix products": 1.0, "element by element": 0.5, "copies": 0.25}
    )


def test_report_shows_speed_as_a_table():
    speed = {"status": "done", "seconds": 3, "ms": {"float32, 1 per call": {"median": 1.5, "least": 1.0, "most": 2.0}}}
    text = format_report({"protocol": {"small": False}, "parts": {"speed_default": speed}})
    assert "| float32, 1 per call | 1.50 | 1.00 to 2.00 |" in text
    assert "means anything" not in text
