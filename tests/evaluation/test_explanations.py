import inspect
import re

import pytest

from dcgan_tf.evaluation import evaluator, figures
from dcgan_tf.evaluation.explanations import EXPLANATIONS, choose_headlines, explain
from dcgan_tf.evaluation.figures import Figure


def figure(name, value=0.5, error=0.0123, real=0.75):
    return Figure(name, value, error, real, "lower", 10, 10, "test", name, "none")


def test_every_metric_is_explained():
    named = set(re.findall(r'yield "(\w+)"', inspect.getsource(figures)))
    named |= set(re.findall(r'name = f?"(\w+)\[', inspect.getsource(evaluator)))
    assert len(named) > 10
    assert named == set(EXPLANATIONS)
    assert explain(figure("new_metric[x]")) == ("New metric", "")


def test_headlines_are_a_distance_fidelity_and_variety():
    distance, precision, recall = choose_headlines(
        [
            figure("recall[x]"),
            figure("coverage[x]"),
            figure("precision[x]"),
            figure("frechet_distance[x]", 9.027, 0.54, 1.608),
        ]
    )
    assert (distance.title, distance.value, distance.error) == ("Frechet distance, x", "9.03", "± 0.54")
    assert "not FID" in distance.meaning
    assert distance.meaning.endswith("Real images: 1.61.")
    assert (precision.title, precision.value, precision.error) == ("Precision", "50.0%", "± 1.2%")
    assert recall.title == "Recall"


@pytest.mark.parametrize(
    ("networks", "chosen"),
    [
        (["random-convolutions", "smiles-classifier", "discriminator"], "Frechet distance, smiles-classifier"),
        (["mnist-classifier", "inception-2015"], "FID"),
        (["mnist-classifier", "inception-2015-pytorch"], "FID as pytorch-fid computes it"),
        (["discriminator", "random-convolutions"], "Frechet distance, random-convolutions"),
    ],
)
def test_headlines_are_of_the_network_that_says_most(networks, chosen):
    (headline,) = choose_headlines([figure(f"frechet_distance[{name}]") for name in networks])
    assert headline.title == chosen


def test_headlines_without_some_metrics():
    assert [each.title for each in choose_headlines([figure("coverage[x]"), figure("kernel_distance[x]")])] == [
        "Kernel distance",
        "Coverage",
    ]
    assert choose_headlines([figure("memorization_ratio[pixels]")]) == []
