import json

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.generation.arithmetic import evaluate, parse_expression, result_and_neighbors
from dcgan_tf.generation.exemplars import best_rows
from dcgan_tf.generation.vectors import Vector, VectorFile, load_vectors


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("thick", [(1, "thick")]),
        ("thick - thin + slanted", [(1, "thick"), (-1, "thin"), (1, "slanted")]),
        (" -2*thin+.5 * b_2 - c*3.25", [(-2, "thin"), (0.5, "b_2"), (-3.25, "c")]),
    ],
)
def test_expressions(text, terms):
    assert parse_expression(text) == terms


@pytest.mark.parametrize("text", ["", " ", "a b", "a +", "a -- b", "2", "2*a*3", "a + 2 b", "a*b", "(a)", "a + ß"])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(UserError, match="`expression`: expected names"):
        parse_expression(text)


def test_value_of_an_expression():
    vectors = {"a": np.array([1.0, 2.0]), "b": np.array([10.0, 0.0])}
    np.testing.assert_array_equal(evaluate(parse_expression("2*a - b + b*.5"), vectors), [-3, 4])
    with pytest.raises(UserError, match=r"unknown vector 'c'\. Expected one of: a, b"):
        evaluate(parse_expression("a + c"), vectors)


def test_neighbors_lie_around_the_result_within_the_papers_noise():
    z = np.linspace(-1, 1, 50, dtype=np.float32)
    around = result_and_neighbors(z, seed=3)
    np.testing.assert_array_equal(around[4], z)
    noise = np.delete(around, 4, axis=0) - z
    assert noise.shape == (8, 50)
    assert 0.2 < np.abs(noise).max() <= 0.25
    np.testing.assert_array_equal(result_and_neighbors(z, seed=3), around)


def test_exemplars_are_the_best_of_those_allowed():
    scores = np.array([3.0, 9.0, 5.0, 9.0])
    assert best_rows(scores, 3).tolist() == [1, 3, 2]
    assert best_rows(scores, 3, np.array([True, False, True, False])).tolist() == [2, 0]


@pytest.fixture
def file():
    file = VectorFile("abc", 3)
    file.add("thick", Vector(np.array([0.1, -2, 1e-7], np.float32), "mean of exemplars", (4, 2**60), 1))
    return file


def test_vectors_survive_the_file_exactly(file, tmp_path):
    file.save(tmp_path / "vectors.json")
    loaded = load_vectors(tmp_path / "vectors.json", "abc", 3)
    np.testing.assert_array_equal(loaded.vectors["thick"].values, file.vectors["thick"].values)
    assert loaded.vectors["thick"].seeds == (4, 2**60)
    assert loaded.vectors["thick"].label == 1
    file.add("another", file.vectors["thick"])
    file.save(tmp_path / "vectors.json")
    # One line per vector, in the order of their names, so that version control can merge them.
    names = [line.split('"')[1] for line in (tmp_path / "vectors.json").read_text().splitlines()[1:-1]]
    assert names == ["another", "thick"]


def test_vectors_of_other_weights_are_refused(file, tmp_path):
    file.save(tmp_path / "vectors.json")
    with pytest.raises(UserError, match="belongs to other weights"):
        load_vectors(tmp_path / "vectors.json", "abd", 3)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.update(format=2),
        lambda content: content["vectors"]["thick"].update(values=[1, 2]),
        lambda content: content["vectors"]["thick"].update(values=[1, 2, float("nan")]),
        lambda content: content["vectors"].update({"a b": content["vectors"]["thick"]}),
        lambda content: content.pop("vectors"),
        lambda content: content.update(vectors=[1]),
        lambda content: content.update(latent_dim="3"),
        lambda content: content["vectors"].update(thick=None),
        lambda content: content["vectors"]["thick"].update(values=[10**400, 0, 0]),
        lambda content: content["vectors"]["thick"].update(values={"a": 1}),
        lambda content: content["vectors"]["thick"].update(seeds=5),
        lambda content: content["vectors"]["thick"].update(seeds=[float("inf")]),
        lambda content: content["vectors"]["thick"].update(label="cat"),
        lambda content: content["vectors"]["thick"].pop("label"),
    ],
)
def test_damaged_files_are_refused(file, tmp_path, damage):
    path = tmp_path / "vectors.json"
    file.save(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is not a file of vectors"):
        load_vectors(path, "abc", 3)


@pytest.mark.parametrize("content", [b"", b"5", b"null", b"\xff", b"[" * 99_999], ids=lambda content: str(content[:4]))
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "vectors.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"'{tmp_path}/vectors.json' is not a file of vectors: .*Name another file"):
        load_vectors(tmp_path / "vectors.json", "abc", 3)


def test_merging_keeps_both_and_refuses_a_contradiction(file):
    other = VectorFile("abc", 3, {"thin": Vector(np.ones(3, np.float32), "x"), "thick": file.vectors["thick"]})
    assert file.merge(other) == ["thin"]
    assert sorted(file.vectors) == ["thick", "thin"]
    other.add("thin", Vector(np.zeros(3, np.float32), "x"))
    with pytest.raises(UserError, match="both files have a vector 'thin'"):
        file.merge(other)
