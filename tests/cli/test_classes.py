"""Directions, exemplars and edits by a classifier, for a generator whose images contain a planted class."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.evaluation import classifier
from dcgan_tf.generation.generator import Generator
from dcgan_tf.generation.vectors import name_of_class
from tests.small_runs import read, write_run

LATENT_DIM = 8


def draw(z):
    """RGB images [N, 16, 16, 3] of latents [N, 8]: the larger coordinate 0 is, the brighter the red bar in the middle.
    Coordinates 1 to 4 color the background, one patch each."""
    patches = np.repeat(np.repeat(z[:, 1:5].reshape(-1, 2, 2, 1), 8, 1), 8, 2)
    images = np.broadcast_to(100 + 12 * patches, (len(z), 16, 16, 3)).copy()
    images[:, :, 6:10, 0] += 60 * z[:, 0, None, None]
    return np.rint(np.clip(images, 0, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Labeled gray pictures: class bar has a bar that is brighter than its surroundings, and class plain does not."""
    folder = tmp_path_factory.mktemp("data") / "planted"
    z = np.random.default_rng(5).normal(size=(240, LATENT_DIM)).astype(np.float32)
    for name, sign in (("bar", 1), ("plain", -1)):
        (folder / name).mkdir(parents=True)
        chosen = z[: len(z) // 2] if name == "bar" else z[len(z) // 2 :]
        chosen[:, 0] = sign * np.abs(chosen[:, 0])
        for number, image in enumerate(draw(chosen)):
            Image.fromarray(image).convert("L").save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def unlabeled(tmp_path_factory, planted):
    """A run on pictures without classes, whose images come from `draw`."""
    return write_run(
        tmp_path_factory.mktemp("unlabeled"), export=False, dataset="folder", data_dir=str(planted / "plain"),
        split="train", channels="3", latent_dim=LATENT_DIM, conditional=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def tiny_generator(monkeypatch):
    monkeypatch.setattr(Generator, "decode", lambda _, z, labels=None: draw(np.asarray(z)))
    monkeypatch.setattr(classifier, "STEPS", 40)


def vectors():
    return json.loads(open("v.json").read())["vectors"]


def test_a_direction_is_that_of_the_planted_class(sample, unlabeled, planted):
    source, labeled = (f"--run_dir={unlabeled}", "--vectors=v.json"), f"--features_from={planted}"
    output = sample("directions", *source, labeled, "--class=bar", "--samples=300", "--test_samples=32")
    table = [line.split() for line in output.splitlines() if re.match(r" +[+-]\d", line)]
    means, errors = [float(line[1]) for line in table], [float(line[3]) for line in table]
    assert len(means) == 7
    assert means == sorted(means)
    assert means[0] < 0.2
    assert means[-1] > 0.8
    assert 0 < max(errors) < 0.1
    found = np.array(vectors()["bar"]["values"])
    assert found[0] > 0.97  # Of length 1: it is the coordinate that plants the bar.
    assert "direction fitted to the log odds of bar" in vectors()["bar"]["origin"]

    sample("images", *source, "--num=1", "--seed=3", "--shift=bar:2", "--separate", "--out=moved")
    z = sample_latents([3]) + 2 * found.astype(np.float32)
    np.testing.assert_allclose(read("moved/00000003.png").astype(int), draw(z)[0].astype(int), atol=1)

    # Exemplars of both classes, the last ones from other candidates. Adding the difference adds the bar.
    for name, of, first in (("with_bar", "bar", 0), ("without", "plain", 0), ("other", "plain", 500)):
        sample("vectors", *source, labeled, f"--name={name}", "--propose=typical", f"--of={of}", "--count=4",
               "--candidates=300", f"--first_candidate={first}")  # fmt: skip
    made = vectors()
    assert min(made["with_bar"]["values"][0], -made["without"]["values"][0], -made["other"]["values"][0]) > 0.5
    assert all(500 <= seed < 800 for seed in made["other"]["seeds"])
    assert "proposed as typical of class plain from seeds 500 to 799" in made["other"]["origin"]
    sample("arithmetic", *source, "--expression=other + with_bar - without")

    # Edit with each vector: the planted bar changes, and the background stays.
    for expression in ("3 * bar", "with_bar - without"):
        output = sample("edit", *source, labeled, f"--expression={expression}", "--class=bar", "--of=plain",
                        "--num=16", "--candidates=300")  # fmt: skip
        before, after = (float(value) for value in re.findall(r"mean probability of bar \w+: ([\d.]+) \+-", output))
        assert before < 0.05
        assert after > 0.9
        ratios = re.findall(
            r"(\S+): an edited image's distance to its original is ([\d.]+) .* nearest for ([\d.]+)% \+-", output
        )
        assert [name for name, *_ in ratios] == ["random-convolutions", "discriminator"]
        assert all(float(ratio) > 0 for _, ratio, _ in ratios)
        _, ratio, nearest = ratios[0]
        assert float(ratio) < 1
        assert float(nearest) > 2 * 100 / 16  # Twice the chance level
    assert read("edit.png").shape[2] == 3


def sample_latents(seeds):
    from dcgan_tf.generation.sampling import seed_latents

    return seed_latents(seeds, LATENT_DIM)


def test_an_edit_of_nothing_changes_nothing_and_knows_its_originals(sample, unlabeled, planted):
    source = (f"--run_dir={unlabeled}", "--vectors=v.json")
    sample("vectors", *source, "--name=a", "--seeds=1048576-1048580")
    output = sample(
        "edit", *source, f"--features_from={planted}", "--expression=a - a", "--class=bar", "--num=10",
        "--candidates=200",
    )  # fmt: skip
    assert "added to 10 images that are not of class bar with 95% confidence" in output
    before, after = re.findall(r"mean probability of bar \w+: (\S+) ", output)
    assert before == after
    assert output.count("distance to its original is 0.000 +- 0.000 of its distance to the others") == 2
    assert output.count("nearest for 100.0% +- 0.0%") == 2
    shown = re.search(r"Wrote the seeds ([\d, ]+) to", output)[1].split(", ")
    assert len(shown) == 8
    assert min(map(int, shown)) > 1048580  # The seeds that the vectors were made from are left out.


def test_classes_of_the_own_data_need_no_other(sample, planted, tmp_path):
    run = write_run(
        tmp_path / "run", export=False, dataset="folder", data_dir=str(planted), split="train", channels="1",
        latent_dim=LATENT_DIM, class_names=("bar", "plain"),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Generator, "decode", lambda _, z, labels=None: draw(np.asarray(z))[..., :1])
        sample("directions", f"--run_dir={run}", "--vectors=v.json", "--class=1", "--samples=300", "--test_samples=8")
    assert vectors()["plain"]["values"][0] < -0.9


def test_a_conditional_run_is_measured_and_edited_with_the_label_that_is_asked_for(sample, refused, planted, tmp_path):
    """In images of class plain, the coordinate that plants the bar acts the other way round."""
    run = write_run(
        tmp_path / "run", export=False, dataset="folder", data_dir=str(planted), split="train", channels="3",
        latent_dim=LATENT_DIM, class_names=("bar", "plain"), conditional=True,
    )  # fmt: skip

    def decode(_, z, labels):
        z = np.array(z)
        z[:, 0] *= np.where(np.asarray(labels) == 1, -1, 1)
        return draw(z)

    source = (f"--run_dir={run}", "--vectors=v.json", f"--features_from={planted}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Generator, "decode", decode)
        for label, sign in (("plain", -1), ("bar", 1)):
            flags = (*source, "--class=bar", f"--label={label}")
            sample("directions", *flags, "--samples=300", "--test_samples=8")
            assert sign * vectors()["bar"]["values"][0] > 0.97
            output = sample("edit", *flags, "--expression=3 * bar", "--of=plain", "--num=8", "--candidates=300")
            assert float(re.search(r"mean probability of bar after: ([\d.]+)", output)[1]) > 0.9
    line = refused("vectors", *source[:2], "--name=a", "--label=bar", "--seeds=1", "--resize")
    assert "--resize has no effect without --features_from" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["directions", "--class=bar"], "--class: folder has no classes, so there is no classifier for it. Name a "
         "labeled data set with --features_from"),
        (["directions", "--class=beard", "--features_from={planted}"], "--class: expected a class of '{planted}': "
         "bar, plain. Received: 'beard'"),
        (["directions", "--class=bar", "--measure=slant"], "--measure and --class name two things"),
        (["directions", "--features_from={planted}"], "no effect without --class"),
        (["directions", "--class=bar", "--resize"], "--resize has no effect without --features_from"),
        (["directions", "--class=bar", "--features_from={planted}/bar"], "--features_from: '{planted}/bar' has no "
         "classes"),
        (["directions", "--class=bar", "--features_from=nowhere"], "--features_from: expected a folder of pictures"),
        (["vectors", "--name=a", "--propose=thick", "--features_from={planted}"], "no effect without --of"),
        (["vectors", "--name=a", "--propose=typical", "--features_from={planted}"], "--of=bar"),
        (["vectors", "--name=a", "--seeds=1", "--first_candidate=9"], "--first_candidate has no effect"),
        (["vectors", "--name=a", "--propose=thick", "--first_candidate=-1"], "--first_candidate: expected at least 0"),
        (["vectors", "--name=a", "--propose=thick", f"--first_candidate={2**63}"],
         "--first_candidate: expected at most"),
        (["vectors", "--name=a", "--propose=thick", "--candidates=100001"], "--candidates: expected at most 100000"),
        (["directions", "--class=bar", "--features_from={planted}", "--data_dir={planted}"], "--data_dir has no effect "
         "with --features_from"),
        (["edit", "--expression=bar", "--features_from={planted}"], "--class is required"),
        (["edit", "--expression=bar", "--class=bar", "--num=1", "--features_from={planted}"], "--num: expected at "
         "least 2"),
        (["edit", "--expression=bar", "--class=bar", "--of=x", "--features_from={planted}"], "--of: expected a class"),
        (["edit", "--expression=bar", "--class=bar", "--features_from={planted}"], "unknown vector 'bar'"),
        (["edit", "--expression=bar", "--class=bar", "--candidates=100001", "--features_from={planted}"],
         "--candidates: expected at most 100000"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(refused, unlabeled, planted, arguments, message):
    action, *flags = (word.format(planted=planted) for word in arguments)
    assert message.format(planted=planted) in refused(action, f"--run_dir={unlabeled}", "--vectors=v.json", *flags)


def test_an_edit_says_where_images_are_too_few_or_were_used(sample, refused, unlabeled, planted):
    source = (f"--run_dir={unlabeled}", "--vectors=v.json")
    sample("vectors", *source, "--name=a", "--seeds=1")
    edit = ("edit", *source, f"--features_from={planted}", "--expression=a", "--class=bar", "--num=9")
    assert re.search(r"--num: only \d of 10 candidates are of class bar with 95% confidence", refused(
        *edit, "--of=bar", "--candidates=10"))  # fmt: skip
    assert "--seed: expected at most" in refused(*edit, f"--seed={2**40}")


def test_names_under_which_classes_are_kept():
    names = ("smile", "bob cut", "7", "ä", "a-b/c", "ö", "b-c", "b_c", "thickness")
    assert [name_of_class(names, number) for number in range(len(names))] == [
        "smile", "bob_cut", "class_7", "__3", "a_b_c", "__5", "b_c_6", "b_c", "thickness_8"
    ]  # fmt: skip
