import json

import pytest

from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import save_config
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.comparison import format_groups, group_runs, read_run

FIGURE = {"name": "x[y]", "value": 1, "n_real": 10, "n_fake": 10, "split": "test", "network": "y", "note": ""}
EVALUATION = {"checkpoint_step": 12, "images_seen": 192, "figures": [FIGURE, {**FIGURE, "name": "z[y]", "value": 2.5}]}


@pytest.fixture
def evaluated(tmp_path):
    """Writes a run's evaluation.json: `evaluated({"figures": []})`, or as text."""
    save_config(Config(image_size="28", channels="1"), tmp_path / "config.json")

    def write(content):
        (tmp_path / "evaluation.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path)

    return write


def test_evaluation_is_read(evaluated):
    lines = format_groups(group_runs([read_run(evaluated(EVALUATION))])).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["x[y]", "1"],
        ["z[y]", "2.5"],
        ["checkpoint", "12"],
        ["images", "seen", "192"],
    ]


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
        *({**EVALUATION, "figures": [{**FIGURE, name: None}]} for name in FIGURE if name != "note"),
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
