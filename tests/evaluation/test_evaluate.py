"""From training with evaluations to the report and the comparison, on tiny pictures."""

import base64
import dataclasses
import html.parser
import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dcgan_tf.config.storage import load_config, save_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import classifier, evaluator, judge, sets, synthetic
from dcgan_tf.evaluation.comparison import format_groups, group_runs, read_run, write_figure, write_page
from dcgan_tf.evaluation.evaluator import Options, evaluate_run
from dcgan_tf.evaluation.figures import Figure, format_like, format_table, format_value
from dcgan_tf.evaluation.published import compare_with_published
from dcgan_tf.evaluation.quick import QuickEvaluation
from dcgan_tf.evaluation.report import write_json, write_report
from dcgan_tf.evaluation.splits import Split
from dcgan_tf.generation.networks import load_networks
from dcgan_tf.generation.sampling import generate
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.checkpoints import Checkpoints
from dcgan_tf.runs.records import QUICK_METRIC, read_metrics
from dcgan_tf.serving import saved_model
from dcgan_tf.training.loop import train
from tests.conftest import one_line


class Page(html.parser.HTMLParser):
    """What a page holds: its text, its pictures, and whatever would fetch or run something."""

    def __init__(self, text):
        super().__init__()
        self.text, self.pictures, self.foreign = "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href") and not value.startswith("data:"):
                self.foreign.append(value)
        if tag == "img":
            self.pictures.append(dict(attrs)["src"].partition("base64,")[2])
        if tag == "script":
            self.foreign.append(tag)

    def handle_data(self, data):
        self.text += data


def train_with_values(config, run_dir, values):
    """Trains with these values as the results of its evaluations, so that the best is where the test wants it."""
    values = iter(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuickEvaluation, "measure", lambda _: next(values))
        patch.setattr(saved_model, "_verify", lambda *_, **__: None)  # It has tests of its own, and takes seconds.
        train(config, str(run_dir))


@pytest.fixture(scope="module")
def trained(bars_config, tmp_path_factory):
    """A conditional run of 12 steps whose best checkpoint is that of step 8. Tests do not change it."""
    run_dir = tmp_path_factory.mktemp("runs") / "first"
    train_with_values(dataclasses.replace(bars_config, conditional=True), run_dir, [5.0, 1.0, 3.0])
    return run_dir


def test_best_checkpoint_is_kept_and_used(trained, tmp_path, said):
    run = run_directory.load_run(trained)
    measured = {
        record["step"]: record[QUICK_METRIC] for record in read_metrics(run.metrics_file) if QUICK_METRIC in record
    }
    assert measured == {4: 5.0, 8: 1.0, 12: 3.0}
    assert [load_networks(run, which).step for which in ("best", "latest", "12")] == [8, 12, 12]
    # `keep_checkpoints` is 1: the newest is kept, and the best as well.
    assert Checkpoints(run.checkpoints, tf.train.Checkpoint()).steps() == [8, 12]
    assert saved_model.exported_steps(run.saved_model) == [8]
    for wrong in ("4", "newest", "-1"):
        with pytest.raises(UserError, match="expected best, latest, or one of the steps 8, 12"):
            load_networks(run, wrong)

    continued = run_directory.Run(tmp_path / "continued", run.config)
    shutil.copytree(trained, continued.directory)
    train_with_values(run.config, continued.directory, [])
    assert "This run is complete" in said.text
    # A resumed run keeps its earlier best until it finds a better one.
    train_with_values(dataclasses.replace(run.config, steps=16), continued.directory, [2.0])
    assert "are from step 8, which had the best" in said.text
    assert load_networks(continued).step == 8
    assert Checkpoints(continued.checkpoints, tf.train.Checkpoint()).steps() == [8, 16]


def test_evaluation_report_and_comparison(trained, short_classifier_training, monkeypatch, tmp_path):
    shutil.copytree(trained, tmp_path / "first")
    monkeypatch.setattr(synthetic, "STEPS", 4)
    monkeypatch.setattr(evaluator, "GENERATED_IMAGES", 200)
    monkeypatch.setattr(evaluator, "MEMORIZATION_IMAGES", 60)
    monkeypatch.setattr(classifier, "TEST_IMAGES", 50)
    asked_for = []
    monkeypatch.setattr(sets, "generate", lambda *arguments: asked_for.append(arguments) or generate(*arguments))
    run = run_directory.load_run(tmp_path / "first")
    options = Options(num=220, probe=True, labels_per_class=(5,), draws=2, synthetic=True)
    evaluation = evaluate_run(run, options)
    figures = {figure.name: figure for figure in evaluation.figures}
    name = evaluation.networks[0].name
    assert name.endswith("-classifier")
    # 120 test images are fewer than the 128 features: the distance is what other tools give, with a warning.
    distance = figures[f"frechet_distance[{name}]"]
    assert distance.standard_error is None
    assert "far too large, because 120 images are fewer than the 128 features" in distance.note
    assert evaluation.classes is not None
    assert [(row.name, row.n_real) for row in evaluation.classes.rows] == [("across", 60), ("down", 60)]
    assert evaluation.classes.labels == "the labels of both sides"
    coverage = figures[f"coverage[{name}]"]
    assert (coverage.n_real, coverage.n_fake, coverage.split) == (120, 220, "test")
    assert coverage.value < 0.2 < coverage.real_value  # Eight steps of training are not enough.
    assert "memorization_ratio[pixels]" in figures
    assert {result.features for result in evaluation.probes} == {"discriminator", "untrained discriminator", "pixels"}
    assert len(evaluation.synthetic) == 5
    for result in evaluation.synthetic[:3]:  # From the number of images tested, not from all 120
        assert result.standard_error == pytest.approx(np.sqrt(result.accuracy * (1 - result.accuracy) / 49))
    _, seeds, labels = asked_for[0]
    np.testing.assert_array_equal(seeds, np.arange(220))
    assert 0.4 < labels.mean() < 0.6
    assert 0.3 < labels[:60].mean() < 0.7  # In random order, because the first ones are also used alone.
    assert f"coverage[{name}]" in format_table(evaluation.figures)

    again = evaluate_run(run, Options(num=220))
    assert [f.value for f in again.figures] == [f.value for f in evaluation.figures]

    content = json.loads(write_json(evaluation, run).read_text())
    assert content["checkpoint_step"] == 8
    assert content["figures"][0]["network"].startswith(name)
    assert [row["name"] for row in content["classes"]["rows"]] == ["across", "down"]
    page = Page(write_report(evaluation, run).read_text())
    assert not page.foreign
    assert f"By {name}" in page.text
    assert f"{coverage.value:.4f}"[:5] in page.text
    assert "60 real ones of the split test" in page.text
    assert len(page.pictures) == 11  # Two grids of images, three of neighbors, four curves, two grids of training.
    assert len(set(page.pictures)) == 11
    assert "By class" in page.text
    for picture in page.pictures:
        Image.open(io.BytesIO(base64.b64decode(picture))).verify()

    # Another seed of the same settings, and one run of other settings.
    others = []
    for number, changes in enumerate(({"seed": 1}, {"loss": "minimax"})):
        folder = tmp_path / f"other{number}"
        folder.mkdir()
        save_config(dataclasses.replace(run.config, **changes), folder / "config.json")
        shutil.copy(run.directory / "metrics.jsonl", folder)
        changed = json.loads((run.directory / "evaluation.json").read_text())
        for figure in changed["figures"]:
            figure["value"] += 1.0
        (folder / "evaluation.json").write_text(json.dumps(changed))
        others.append(str(folder))
    groups = group_runs([read_run(folder) for folder in (str(run.directory), *others)])
    assert [group.label for group in groups] == ["loss=non_saturating", "loss=minimax"]
    assert [len(group.runs) for group in groups] == [2, 1]
    first, second = groups[0].values(f"coverage[{name}]")
    assert second - first == pytest.approx(1)
    assert "± 0.71 (2)" in format_groups(groups)
    picture = write_figure(groups, tmp_path / "comparison.png")
    Image.open(picture).verify()
    page = Page(write_page(groups, tmp_path / "comparison.html").read_text())
    assert not page.foreign
    assert "loss=minimax" in page.text
    assert len(page.pictures) == len(groups[0].runs[0].evaluation["figures"])

    figures = changed["figures"]
    for alike in ({"figures": [{**figures[0], "n_fake": 7}, *figures[1:]]}, {"protocol": 1}):
        (tmp_path / "other0" / "evaluation.json").write_text(json.dumps({**changed, **alike}))
        with pytest.raises(UserError, match="cannot be compared"):
            group_runs([read_run(folder) for folder in (str(run.directory), *others)])


@pytest.fixture(scope="module")
def packed(bars_config, tmp_path_factory):
    """An untrained run whose discriminator judges three packed images at once."""
    config, _ = prepare(dataclasses.replace(bars_config, batch_size=15, pack=3))
    run = run_directory.Run(tmp_path_factory.mktemp("packed"), config)
    run.save_config()
    networks = {"ema_generator": configured_generator, "discriminator": configured_discriminator}
    checkpoint = tf.train.Checkpoint(**{name: build(config, seed=0) for name, build in networks.items()})
    Checkpoints(run.checkpoints, checkpoint).save(1)
    return run


def test_a_packed_run_is_evaluated_with_as_many_images_as_there_are(packed, short_classifier_training, said):
    evaluation = evaluate_run(packed, Options())
    assert "judges 3 images at once" in evaluation.left_out["frechet_distance, kernel_distance[discriminator]"]
    assert "kernel_distance" in format_table(evaluation.figures)
    # There are 300 training images, so no more than 300 generated ones are compared with them.
    counts = {figure.n_fake for figure in evaluation.figures if "memorization" not in figure.name}
    assert (counts, evaluation.facts["n_fake"]) == ({300}, 300)
    assert "`num=10000`: only 300 images are generated" in said.text
    with pytest.raises(UserError, match="`pack=3`: its discriminator judges 3 images at once"):
        evaluate_run(packed, Options(probe=True))


@pytest.mark.parametrize(("count", "each"), [(1000, 220), (301, 150), (50, 25)])
def test_real_and_training_images_of_one_split_are_disjoint_and_of_all_kinds(bars_config, count, each):
    data = prepare(bars_config)[1]
    data = dataclasses.replace(data, images=np.broadcast_to(data.images[0], (count, 16, 16, 1)))
    rows = evaluator._choose_rows(data, Split("train", data, is_held_out=False), 220)
    assert [len(part) for part in rows] == [each, each]
    assert not set(rows[0]) & set(rows[1])
    for part in rows:  # As if two kinds of pictures alternated: front, back, front, back
        assert 0.25 < (part % 2).mean() < 0.75


def test_rare_classes_are_refused_before_anything_is_trained(bars_config):
    data = prepare(bars_config)[1]
    rare = dataclasses.replace(data, labels=np.repeat([0, 1], [293, 7]))
    test = Split("test", data)
    with pytest.raises(UserError, match=r"`train_on_synthetic=True`: expected at least 10 .* Received: 7 of class 1"):
        evaluator._need_classes(rare, test, Options(synthetic=True))
    with pytest.raises(UserError, match=r"`labels_per_class`: expected at least 8 .* Received: 7 of class 1"):
        evaluator._need_classes(rare, test, Options(probe=True, labels_per_class=(2, 8, 0)))
    assert evaluator._need_classes(rare, test, Options(probe=True, labels_per_class=(7,))) == 2
    unlabeled = Split("test", dataclasses.replace(data, labels=np.full(300, -1)))
    with pytest.raises(UserError, match="need a data set with labels in its held-out split"):
        evaluator._need_classes(data, unlabeled, Options(probe=True))


def test_changed_data_are_refused(trained, bars, tmp_path):
    folder = tmp_path / "moved"
    folder.mkdir()
    data = tmp_path / "bars"
    shutil.copytree(bars, data)
    (data / "train" / "down" / "0001.png").unlink()
    config = load_config(trained / "config.json")
    with pytest.raises(UserError, match="have changed since this run began"):
        evaluate_run(run_directory.Run(folder, dataclasses.replace(config, data_dir=str(data))), Options(num=220))


def test_what_cannot_be_done_is_said_first(trained, bars, monkeypatch):
    monkeypatch.setattr(judge, "load_or_train_classifier", None)  # Nothing that takes minutes may begin.
    run = run_directory.load_run(trained)
    with pytest.raises(UserError, match="`inception_weights`: expected a file"):
        evaluate_run(run, Options(num=220, inception_weights="missing.pb"))
    flat = dataclasses.replace(run.config, data_dir=str(bars / "train"), data_digest="", conditional=False)
    unlabeled = run_directory.Run(run.directory, dataclasses.replace(flat, data_dir=str(bars / "train" / "down")))
    monkeypatch.setattr(evaluator, "load_networks", lambda *_: None)
    with pytest.raises(UserError, match="need a data set with classes"):
        evaluate_run(unlabeled, Options(num=220, probe=True))
    with pytest.raises(UserError, match="need a data set with a held-out split"):
        evaluate_run(run_directory.Run(run.directory, flat), Options(num=220, synthetic=True))


def test_run_without_a_checkpoint_whose_data_have_moved(cli, bars, bars_config, tmp_path):
    """The data is read from where the flag says, and the flag is saved, before anything else can fail."""
    config = dataclasses.replace(bars_config, blocks=2)
    save_config(dataclasses.replace(config, data_dir="/gone", cache_dir="/gone"), tmp_path / "config.json")
    folders = {"data_dir": str(bars), "cache_dir": str(tmp_path / "cache")}
    flags = [f"--{name}={value}" for name, value in folders.items()]
    result = cli("evaluate", f"--run_dir={tmp_path}", "--num=220", *flags)
    assert "has no checkpoint yet" in one_line(result)
    assert load_config(tmp_path / "config.json") == dataclasses.replace(config, **folders)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evaluate", "--run_dir={run}", "--num=199"], "--num: expected at least 200"),
        (["evaluate", "--run_dir=nowhere"], "--run_dir: expected a folder made by train.py"),
        (["compare"], "expected folders of evaluated runs"),
    ],
)
def test_mistakes_are_one_line(cli, bars_config, tmp_path, arguments, expected):
    save_config(bars_config, tmp_path / "config.json")
    assert expected in one_line(cli(*(argument.format(run=tmp_path) for argument in arguments)))


def test_digits_follow_the_error():
    assert format_value(83.5712, 1.863) == "83.6 ± 1.9"
    assert format_value(0.55213, 0.004973) == "0.5521 ± 0.0050"
    assert format_value(12345.6, 234.0) == "12,346 ± 234"
    assert format_value(0.024123456) == "0.02412"
    assert format_value(3.0, 0.0) == "3"
    assert format_value(34.1712, 0.9996) == "34.2 ± 1.0"
    assert format_like(1.60789, 0.5448) == "1.61"
    assert format_like(0.8621, None) == "0.8621"


@pytest.mark.parametrize(
    ("network", "count", "comparable"),
    [
        ("inception-2015 abc", 10_000, True),
        ("mnist-classifier abc", 10_000, False),
        ("inception-2015 abc", 5000, False),
    ],
)
def test_published_rows_are_marked(network, count, comparable, small_config):
    name = f"frechet_distance[{network.split()[0]}]"
    figure = Figure(name, 9.0, None, None, "lower", count, count, "test", network, "none")
    rows = compare_with_published([figure], small_config())
    assert {row.published.value for row in rows} == {9.8, 6.8, 6.7}
    assert all(row.is_comparable == comparable for row in rows)
    assert all(row.is_comparable or ("Inception" in row.reason or "5,000" in row.reason) for row in rows)
