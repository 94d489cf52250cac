import dataclasses
import json

import numpy as np
import pytest

from dcgan_tf.data.prepare import prepare
from dcgan_tf.evaluation.quick import METRIC, best_step, make_quick_evaluation
from dcgan_tf.training.gan import GAN


def test_best_step_is_the_smallest_among_those_given(tmp_path):
    path = tmp_path / "metrics.jsonl"
    records = [
        {"step": 2, METRIC: 3.0},
        {"step": 3},
        {"step": 4, METRIC: 1.0},
        {"step": 6, METRIC: 2.0},
        {"step": 8, METRIC: 2.0},
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
    path.write_text("".join(f'{{"step": {each}, "{METRIC}": {values[each]}}}\n' for each in (2, 4, 6)))
    assert best_step(path, [2, 4, 6]) == (6 if step == 4 else 4)
    assert best_step(path, [step]) is None


@pytest.mark.parametrize("conditional", [False, True])
def test_measure_repeats_and_grows_with_the_distance(bars_config, conditional):
    config, data = prepare(dataclasses.replace(bars_config, conditional=conditional))
    gan = GAN(config)
    evaluation = make_quick_evaluation(gan, data)
    gray = evaluation.measure()
    assert evaluation.measure() == gray
    # All black is further from bars on dark gray than mid-gray is, or at least different.
    bias = gan.ema_generator.trainable_variables[-1]
    bias.assign(np.full(bias.shape, 5.0))  # tanh: white
    assert evaluation.measure() > gray


def test_turned_off_or_too_few_images(bars_config, small_config, capsys):
    config, data = prepare(bars_config)
    assert make_quick_evaluation(GAN(dataclasses.replace(config, evaluate_every=0)), data) is None
    few = dataclasses.replace(data, images=data.images[:199])
    assert make_quick_evaluation(GAN(config), few) is None
    assert "at least 200 images, and here are 199" in capsys.readouterr().out
