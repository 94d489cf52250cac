import json

import numpy as np
import pytest

from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import save_config
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.comparison import _draw, format_groups, group_runs, read_run, write_page

FIGURE = {
    "name": "x[y]",
    "value": 1,
    "standard_error": 0.25,
    "real_value": 3,
    "n_real": 10,
    "n_fake": 10,
    "split": "test",
    "network": "y",
    "note": "",
}
EVALUATION = {
    "checkpoint_step": 12,
    "images_seen": 192,
    "figures": [FIGURE, {**FIGURE, "name": "z[y]", "value": 2.5, "standard_error": None}],
}
OPTIONAL = ("note", "standard_error", "real_value")


@pytest.fixture
def evaluated(tmp_path):
    """Writes a run's evaluation.json from text or from what JSON can hold, and returns the run's folder."""
    save_config(Config(image_size="28", channels="1"), tmp_path / "config.json")

    def write(content):
        (tmp_path / "evaluation.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path)

    return write


def test_evaluation_is_read(evaluated):
    lines = format_groups(group_runs([read_run(evaluated(EVALUATION))])).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["x[y]", "1.00", "±", "0.25"],
        ["z[y]", "2.5"],
        ["checkpoint", "12"],
        ["images", "seen", "192"],
    ]


def test_one_run_is_drawn_beside_real_images(evaluated, tmp_path):
    """Each panel shows a dot with its standard error, and a line at the score of real images."""
    groups = group_runs([read_run(evaluated(EVALUATION))])
    figure = _draw(groups, ["x[y]", "z[y]"], 2)
    for axes, value in zip(figure.axes, (1, 2.5), strict=True):
        (real,) = (line for line in axes.lines if line.get_label() == "real images")
        np.testing.assert_array_equal(real.get_xdata(), [3, 3])
        assert any(np.array_equal(line.get_xdata(), [value]) for line in axes.lines)
        low, high = axes.get_xlim()
        assert low < value < 3 < high
        assert [label.get_text().replace("\n", "") for label in axes.get_yticklabels()] == [tmp_path.name]
    page = write_page(groups, tmp_path / "page.html").read_text()
    assert f"<h1>{tmp_path.name}</h1>" in page
    assert page.count("<img ") == 2
    assert '<th scope="col"' in page
    assert '<th scope="row">x[y]</th>' in page


def test_page_escapes_names(evaluated, tmp_path):
    named = {**EVALUATION, "figures": [{**FIGURE, "name": "<script>[y]"}]}
    page = write_page(group_runs([read_run(evaluated(named))]), tmp_path / "page.html").read_text()
    assert "&lt;script&gt;[y]" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "5",
        "null",
        "[" * 99_999,
        [],
        {},
        {**EVALUATION, "checkpoint_step": "12"},
        {**EVALUATION, "checkpoint_step": True},
        {**EVALUATION, "images_seen": None},
        {**EVALUATION, "figures": None},
        {**EVALUATION, "figures": {"x": 1}},
        {**EVALUATION, "figures": [5]},
        *({**EVALUATION, "figures": [{**FIGURE, name: None}]} for name in FIGURE if name not in OPTIONAL),
        {**EVALUATION, "figures": [{**FIGURE, "value": "1"}]},
        {**EVALUATION, "figures": [{**FIGURE, "name": ["x"]}]},
    ],
    ids=lambda content: str(content)[:60],
)
def test_damaged_evaluation_is_named(evaluated, content):
    run_dir = evaluated(content)
    with pytest.raises(UserError) as error:
        read_run(run_dir)
    assert str(error.value).startswith(f"'{run_dir}/evaluation.json' is damaged (")
    assert str(error.value).endswith(f"To make it again, run: python -m dcgan_tf evaluate --run_dir={run_dir}")
    assert "\n" not in str(error.value)
