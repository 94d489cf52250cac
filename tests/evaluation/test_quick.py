import dataclasses

import numpy as np
import pytest

from dcgan_tf.data.prepare import prepare
from dcgan_tf.evaluation.quick import make_quick_evaluation
from dcgan_tf.models.configured import configured_generator


@pytest.mark.parametrize("conditional", [False, True])
def test_measure_repeats_and_grows_with_the_distance(bars_config, conditional):
    config, data = prepare(dataclasses.replace(bars_config, conditional=conditional))
    generator = configured_generator(config, seed=0)
    evaluation = make_quick_evaluation(generator, config, data)
    gray = evaluation.measure()
    assert evaluation.measure() == gray
    # All white is farther from bars on dark gray than mid-gray is.
    bias = generator.trainable_variables[-1]
    bias.assign(np.full(bias.shape, 5.0))  # tanh: white
    assert evaluation.measure() > gray


def test_turned_off_or_too_few_images(bars_config, said):
    config, data = prepare(bars_config)
    assert make_quick_evaluation(None, dataclasses.replace(config, evaluate_every=0), data) is None
    few = dataclasses.replace(data, images=data.images[:199])
    assert make_quick_evaluation(None, config, few) is None
    assert "at least 200 images, and there are 199" in said.text
