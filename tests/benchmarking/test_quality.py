"""The benchmark of quality: any program's samples are judged alike, and existing rows are not made again."""

import argparse
import dataclasses
import json
import sys

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.benchmarking import quality
from dcgan_tf.benchmarking.quality import Entry, Results, format_results, read_samples, run_quality
from dcgan_tf.cli.quality import with_length
from dcgan_tf.config.making import make_config
from dcgan_tf.errors import UserError
from tests.benchmarks import reference_program
from tests.conftest import one_line

# Darkens the training images that it gets, and says what it got.
PROGRAM = """
import argparse, numpy as np
parser = argparse.ArgumentParser()
for name in ("images", "minutes", "seed", "out"):
    parser.add_argument(f"--{name}")
options = parser.parse_args()
images = np.load(options.images)
assert (images.dtype, images.shape, options.seed) == (np.uint8, (150, 16, 16, 1), "3")
for minutes in options.minutes.split(","):
    np.save(f"{options.out}/samples-{minutes}.npy", images // (1 + int(float(minutes) < 1)))
"""


@pytest.fixture
def data_config(small_config, tmp_path, monkeypatch):
    """A folder of 150 pictures without classes or held-out images. Programs write 110 samples or more."""
    monkeypatch.setattr(quality, "SAMPLES", 110)
    folder = tmp_path / "blocks"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(150):
        image = random.integers(0, 60, (16, 16), np.uint8)
        top, left = random.integers(0, 10, 2)
        image[top : top + 6, left : left + 6] = 255
        Image.fromarray(image).save(folder / f"{number}.png")
    changes = {"architecture": "mlp", "generator_filters": "4", "discriminator_filters": "4", "seed": 3}
    return small_config(dataset="folder", data_dir=str(folder), split="train", **changes)


def test_a_program_gets_the_images_and_is_judged_at_each_mark(data_config, tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(PROGRAM)
    path = tmp_path / "quality.jsonl"
    entry = Entry("darker", f"{sys.executable} {tmp_path / 'program.py'}")
    run_quality(entry, data_config, [0.5, 2], Results(path))
    rows = list(Results(path).rows.values())
    found = [(row["program"], row["seed"], row["minutes"]) for row in rows]
    assert found == [("real training images", 0, 0), ("darker", 3, 0.5), ("darker", 3, 2)]
    real, dark, same = (row["frechet_distance"][0] for row in rows)
    assert real == pytest.approx(0, abs=1e-3)  # There are no held-out images here.
    assert same < 10 < dark
    assert [(row["n_fake"], row["size"]) for row in rows] == 3 * [(110, "16x16x1")]
    assert rows[2]["judge"].startswith("random-convolutions ")
    assert rows[2]["settings"] == entry.command

    # Existing rows are not made again, but missing ones are.
    with monkeypatch.context() as patch:
        patch.setattr(quality, "_samples", None)
        run_quality(entry, data_config, [0.5, 2], Results(path))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    run_quality(entry, data_config, [0.5, 2], Results(path))
    assert len(path.read_text().splitlines()) == 3
    table = Results(path).write_table().read_text()
    assert "| Data | Program | Seeds | 0.5 min | 2 min | Judge | Device |" in table
    assert "| blocks, 16x16x1 | darker | 1 | " in table
    with pytest.raises(UserError, match="`name`: the results already have 'darker' with other settings"):
        run_quality(Entry("darker", "true"), data_config, [2], Results(path))


@pytest.mark.parametrize("written", [[1], [1, 2]], ids=str)
def test_what_a_program_wrote_before_it_failed_is_judged(data_config, tmp_path, written):
    marks = repr(list(map(str, written)))
    program = PROGRAM.replace('options.minutes.split(",")', marks) + "raise SystemExit(3)"
    (tmp_path / "program.py").write_text(program)
    entry, rows = Entry("fails", f"{sys.executable} {tmp_path / 'program.py'}"), Results(tmp_path / "quality.jsonl")
    with pytest.raises(UserError, match=r"`program`: .* failed"):
        run_quality(entry, data_config, [1, 2], rows)
    assert [row["minutes"] for row in rows.rows.values()] == [0, *written]


def test_wrong_samples_of_one_time_do_not_lose_those_of_another(data_config, tmp_path):
    (tmp_path / "program.py").write_text(
        PROGRAM.replace("images // ", "(images[:9] if minutes == '1' else images) // ")
    )
    entry, rows = Entry("short", f"{sys.executable} {tmp_path / 'program.py'}"), Results(tmp_path / "quality.jsonl")
    with pytest.raises(UserError, match=r"after 1 min: expected 110 samples\. Received: 9"):
        run_quality(entry, data_config, [1, 2], rows)
    assert [row["minutes"] for row in rows.rows.values()] == [0, 2]


def test_other_samples_need_another_name(data_config, tmp_path):
    rows = Results(tmp_path / "quality.jsonl")
    for value in (7, 9):
        np.save(tmp_path / f"{value}.npy", np.full((110, 16, 16, 1), value, np.uint8))
    run_quality(Entry("gray", samples=str(tmp_path / "7.npy")), data_config, [5], rows)
    with pytest.raises(UserError, match="`name`: the results already have 'gray' with other settings"):
        run_quality(Entry("gray", samples=str(tmp_path / "9.npy")), data_config, [5], rows)
    assert [row["device"] == "not stated" for row in rows.rows.values()] == [False, True]


def test_a_judge_with_other_weights_judges_anew(data_config, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((110, 16, 16, 1), np.uint8))
    entry, path = Entry("a", samples=str(tmp_path / "a.npy")), tmp_path / "quality.jsonl"
    run_quality(entry, data_config, [5], Results(path))
    own_network = quality.own_network
    monkeypatch.setattr(
        quality, "own_network", lambda *arguments: dataclasses.replace(own_network(*arguments), digest="other")
    )
    run_quality(entry, data_config, [5], Results(path))
    judges = [row["judge"].split()[1] for row in Results(path).rows.values()]
    assert judges == [judges[0], judges[0], "other", "other"]
    assert judges[0] != "other"


def test_a_last_row_that_was_cut_off_is_left_out(tmp_path, caplog):
    path = tmp_path / "quality.jsonl"
    first, second = (make_row(0, minutes, 9.0) for minutes in (2, 5))
    path.write_text(json.dumps(first))  # A whole row, though without the end of its line
    Results(path).add(second)
    assert list(Results(path).rows.values()) == [first, second]
    path.write_text(path.read_text()[:-9])
    assert list(Results(path).rows.values()) == [first]
    assert "is incomplete and is left out" in caplog.text
    Results(path).add(second)
    assert list(Results(path).rows.values()) == [first, second]


def test_no_other_file_is_replaced_by_the_table(tmp_path):
    (tmp_path / "notes.md").write_text("# Notes\n")
    with pytest.raises(UserError, match=r"`results`: the table would replace '.*notes.md', which is something else"):
        Results(tmp_path / "notes.jsonl")
    Results(tmp_path / "quality.jsonl").write_table()
    Results(tmp_path / "quality.jsonl").write_table()


def test_samples_of_another_size_are_resized(data_config, tmp_path):
    rows = Results(tmp_path / "quality.jsonl")
    image = np.asarray(Image.open(tmp_path / "blocks" / "0.png"))
    np.save(tmp_path / "large.npy", np.repeat([np.kron(image, np.ones((2, 2), np.uint8))[..., None]], 120, axis=0))
    run_quality(Entry("large", samples=str(tmp_path / "large.npy")), data_config, [5], rows)
    assert [row["n_fake"] for row in rows.rows.values()] == [110, 110]  # Of 120
    for shape, message in (((120, 16, 16, 3), "with 1 channels. Received: 3"), ((9, 16, 16, 1), "110 samples")):
        np.save(tmp_path / "wrong.npy", np.zeros(shape, np.uint8))
        with pytest.raises(UserError, match=f"expected (samples )?{message}"):
            run_quality(Entry("wrong", samples=str(tmp_path / "wrong.npy")), data_config, [5], rows)


def test_this_program_is_trained_until_its_schedule_ends(data_config, tmp_path):
    rows = Results(tmp_path / "quality.jsonl")
    run_quality(Entry("dcgan_tf"), data_config, [1, 2], rows)
    _, first, last = rows.rows.values()
    assert first["steps"] == last["steps"] == data_config.steps
    assert f"steps={data_config.steps}" in first["settings"].split(", ")
    assert first["frechet_distance"] == last["frechet_distance"]


def test_only_the_clock_ends_the_training_unless_a_length_is_typed():
    assert make_config(with_length({"dataset": "mnist"})).steps > 10**6
    assert make_config(with_length({"dataset": "mnist", "steps": 30})).steps == 30
    assert make_config(with_length({"dataset": "mnist", "epochs": 2.0})).epochs == 2


def make_row(seed, minutes, value, judge="network 0", program="a|b"):
    return {
        "data": "digits", "digest": "d", "size": "28x28x1", "program": program, "settings": "", "seed": seed,
        "minutes": minutes, "frechet_distance": [value, 0.25], "judge": judge, "n_real": 1000,
        "n_fake": 1000 if program == quality.REAL else 10_000,
        "split": "test", "device": "2 cores",
    }  # fmt: skip


def test_seeds_are_averaged():
    rows = [make_row(0, 2, 9.0), make_row(0, 5, 4.0), make_row(1, 5, 6.0), make_row(2, 5, 1.0, "network 1")]
    text = format_results([*rows, make_row(0, 0, 2.0, program=quality.REAL)])
    assert "| digits, 28x28x1 | real training images, only 1,000 |  | 2.00 ± 0.25 | 2.00 ± 0.25 | " in text
    assert (
        "| digits, 28x28x1 | a\\|b | 2 | 9.00 ± 0.25 | 5.0 ± 1.4 | network 0, 1,000 images of test | 2 cores |" in text
    )
    assert "| digits, 28x28x1 | a\\|b | 1 |  | 1.00 ± 0.25 | network 1, " in text


def test_the_clock_of_reference_programs_stands_still_for_samples(tmp_path, monkeypatch):
    seconds, steps = [], []
    monkeypatch.setattr(reference_program.time, "perf_counter", lambda: len(seconds))

    def step():
        seconds.append(1)
        steps.append(1)

    def sample(count):
        seconds.extend([1] * 1000)
        return np.full(count, len(steps))

    options = argparse.Namespace(minutes="0.5,1", out=str(tmp_path))
    reference_program.train_to_marks(options, step, sample)
    for mark, expected in (("0.5", 30), ("1", 60)):
        samples = np.load(tmp_path / f"samples-{mark}.npy")
        assert (samples[0], len(samples)) == (expected, reference_program.SAMPLES)


def test_what_is_wrong_is_said_in_one_line(tmp_path, data_config):
    with pytest.raises(UserError, match="`samples`: there is no file"):
        read_samples(tmp_path / "missing.npy")
    np.save(tmp_path / "float.npy", np.zeros((3, 16, 16, 1)))
    with pytest.raises(UserError, match=r"`samples`: .* expected images as a uint8 array"):
        read_samples(tmp_path / "float.npy")
    np.savez(tmp_path / "many.npz", np.zeros((3, 16, 16, 1), np.uint8))
    with pytest.raises(UserError, match=r"`samples`: .* expected an \.npy file"):
        read_samples(tmp_path / "many.npz")
    points = make_config({"dataset": "ring"})
    with pytest.raises(UserError, match="`dataset`: expected a data set of images"):
        run_quality(Entry("a", "true"), points, [1], Results(tmp_path / "points.jsonl"))
    (tmp_path / "bad.jsonl").write_text('{"data": 1}\n')
    with pytest.raises(UserError, match=r"`results`: .* is damaged"):
        Results(tmp_path / "bad.jsonl")
    with pytest.raises(UserError, match=r"`program`: 'python \"x\.py' is not a command: No closing quotation"):
        run_quality(Entry("q", 'python "x.py'), data_config, [1], Results(tmp_path / "quality.jsonl"))
    with pytest.raises(UserError, match="`program`: 'false' failed"):
        run_quality(Entry("a", "false"), data_config, [1], Results(tmp_path / "quality.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--results: expected a file in an existing folder"),
        (["--results=x.md"], "--results: expected a file that ends in .jsonl. Received: 'x.md'"),
        (["--results=x.jsonl", "--minutes=5,2"], "--minutes: expected ascending numbers such as 2,5,15. Received: 5,2"),
        (["--results=x.jsonl", "--minutes=nan"], "--minutes: expected ascending numbers such as 2,5,15. Received: nan"),
        (["--results=x.jsonl", "--program=a"], "--name: name the program"),
        (["--results=x.jsonl", "--program=a", "--samples=b", "--name=c"], "--program and --samples: give one of them"),
        (["--results=x.jsonl", "--samples=b", "--name=c"], "--minutes: give a single number"),
    ],
)
def test_mistakes_of_the_command_are_one_line(cli, arguments, expected):
    assert expected in one_line(cli("quality", *arguments))
