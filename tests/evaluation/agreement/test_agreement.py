"""Our metrics, networks and resizers give the answers of torch-fidelity, prdc, clean-fid and pytorch-fid."""

import hashlib
import json
import pathlib
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.figures import FID_NAMES
from dcgan_tf.evaluation.inception import load_inception, resize
from dcgan_tf.evaluation.torch_weights import read_tensors
from dcgan_tf.metrics import inception_score as score
from dcgan_tf.metrics.density_coverage import density_coverage
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.metrics.kernel import squared_discrepancy
from dcgan_tf.metrics.precision_recall import precision_recall
from tests.evaluation.agreement import inputs

HERE = pathlib.Path(__file__).parent
ANSWERS = json.loads((HERE / "answers.json").read_text())
AGREEMENT = 1e-3


def on_same_subsets(real, fake):
    """The kernel distance on the subsets that torch-fidelity draws."""
    random = np.random.RandomState(inputs.SEED)
    return np.mean(
        [
            squared_discrepancy(*(x[random.choice(len(x), inputs.SUBSET_SIZE, replace=False)] for x in (real, fake)))
            for _ in range(inputs.SUBSETS)
        ]
    )


@pytest.mark.parametrize("name", inputs.feature_sets())
def test_metrics_of_features(name):
    real, fake = inputs.feature_sets()[name]
    shares, others = precision_recall(real, fake), density_coverage(real, fake)
    ours = {
        "frechet_distance": frechet_distance(real, fake),
        "kernel_distance": on_same_subsets(real, fake),
        "precision": shares.precision.value,
        "recall": shares.recall.value,
        "density": others.density.value,
        "coverage": others.coverage.value,
    }
    assert ours == pytest.approx(ANSWERS["features"][name], rel=AGREEMENT)


def test_inception_score(monkeypatch):
    # The other tool splits the samples without shuffling them.
    monkeypatch.setattr(score, "random_blocks", lambda values, blocks, key: np.array_split(values, blocks))
    probabilities = softmax(inputs.logits().astype(np.float64), axis=1)
    assert score.inception_score(probabilities).value == pytest.approx(ANSWERS["inception_score"], rel=AGREEMENT)


def write_tensors(path, tensors):
    """Writes a file as torch.save does, without PyTorch: a pickle names functions, and values are stored apart."""
    modules = {"torch": types.ModuleType("torch"), "torch._utils": types.ModuleType("torch._utils")}
    modules["torch"].FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})

    def _rebuild_tensor_v2():
        """Exists only for its name; nothing calls it here."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2

    class Tensor:
        def __init__(self, number, array):
            self.number, self.array = number, array

        def __reduce__(self):
            strides = tuple(np.array(self.array.strides) // 4)
            storage = Storage(self.number, self.array.size)
            return _rebuild_tensor_v2, (storage, 0, self.array.shape, tuple(map(int, strides)), False, {})

    class Storage:
        def __init__(self, number, count):
            self.id = ("storage", modules["torch"].FloatStorage, str(number), "cpu", count)

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            return value.id if isinstance(value, Storage) else None

    with pytest.MonkeyPatch.context() as patch, zipfile.ZipFile(path, "w") as archive:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        with archive.open("archive/data.pkl", "w") as file:
            Pickler(file, 2).dump({name: Tensor(n, array) for n, (name, array) in enumerate(tensors.items())})
        for number, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{number}", array.tobytes())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with random weights of pytorch-fid's network, the same as in `answers`."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    write_tensors(path, {name: inputs.inception_tensor(name, shape) for name, shape in ANSWERS["tensors"].items()})
    return path


@pytest.mark.parametrize(
    "resizer", ["pytorch", *(pytest.param(name, marks=pytest.mark.long) for name in ("tensorflow", "clean"))]
)
def test_inception_of_pytorch_fid(weights, resizer, monkeypatch):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setattr("dcgan_tf.evaluation.inception.DIGEST_OF_2015", digest[:8])
    network = load_inception(str(weights), resizer)
    assert network.name == {"pytorch": "inception-2015-pytorch", "tensorflow": "inception-2015"}.get(
        resizer, "inception-2015-clean"
    )
    image = inputs.images()["small"]
    values, probabilities = network.function(tf.constant(image[None]))
    assert values.shape == (1, 2048)
    assert probabilities is None
    # The tolerance is relative to the mean feature, because many features are near 0.
    expected = ANSWERS["inception"]["small"][resizer]
    np.testing.assert_allclose(values[0, inputs.COMPARED], expected, atol=AGREEMENT * np.mean(expected))


def test_other_weights_of_the_same_shapes_do_not_give_fid(weights, caplog):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    network = load_inception(str(weights))
    assert network.name == f"inception-{digest[:8]}-pytorch"
    assert network.name not in FID_NAMES
    assert "is not pytorch-fid's file of the 2015 weights, so the Frechet distance is not called FID" in caplog.text


def test_other_shapes_are_refused(tmp_path):
    shapes = {**ANSWERS["tensors"], "Conv2d_1a_3x3.conv.weight": [32, 5, 3, 3]}
    write_tensors(tmp_path / "w.pth", {name: inputs.inception_tensor(name, shape) for name, shape in shapes.items()})
    with pytest.raises(
        UserError, match=r"the tensors in '.*w.pth' do not have the shapes of Inception v3: "
    ) as refused:
        load_inception(str(tmp_path / "w.pth"))
    assert "\n" not in str(refused.value)
    assert "user code" not in str(refused.value)


@pytest.mark.parametrize("name", inputs.SIZES)
def test_resizing_of_clean_fid(name):
    image = tf.constant(inputs.images()[name][None].astype(np.float32))
    pixels = resize(image, "clean")[0, 150, ::20].numpy().T.ravel()
    np.testing.assert_allclose(pixels, ANSWERS["inception"][name]["clean pixels"], atol=255 * AGREEMENT / 10)


@pytest.mark.parametrize("name", ["tensors.pth", "tensors_legacy.pth"])
def test_files_of_torch_save(name):
    tensors = read_tensors(HERE / name)
    np.testing.assert_array_equal(tensors["kernel"], np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1))
    np.testing.assert_array_equal(tensors["part"], [3, 4, 5, 6])
    assert tensors["kernel"].dtype == np.float32
    assert (tensors["count"], tensors["count"].dtype) == (5, np.int64)


def test_a_program_in_place_of_weights_does_not_run(tmp_path):
    with pytest.raises(UserError, match=r"`inception_weights`: .*it contains pathlib.*, which is not a tensor"):
        load_inception(str(HERE / "program.pth"))

    class Program:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    (tmp_path / "program.pth").write_bytes(pickle.dumps(Program()))
    with pytest.raises(UserError, match="which is not a tensor"):
        read_tensors(tmp_path / "program.pth")
    assert not (tmp_path / "ran").exists()


def test_damaged_and_other_files_are_one_line(tmp_path):
    content = (HERE / "tensors.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    legacy = (HERE / "tensors_legacy.pth").read_bytes()
    (tmp_path / "cut_legacy.pth").write_bytes(legacy[:-9])
    for name in ("cut.pth", "cut_legacy.pth"):
        with pytest.raises(UserError, match=rf"'.*{name}' does not hold PyTorch weights: .+") as refused:
            read_tensors(tmp_path / name)
        assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"expected the weights of the 2015 Inception v3.*Conv2d_1a_3x3"):
        load_inception(str(HERE / "tensors.pth"))
    (tmp_path / "weights.h5").write_text("")
    with pytest.raises(UserError, match=r"`inception_resizer=pytorch`: expected clean for a \.h5 file"):
        load_inception(str(tmp_path / "weights.h5"), "pytorch")


def test_answers_are_still_those_of_the_tools():
    for module in ("torch", "torchvision", "torch_fidelity", "prdc", "cleanfid", "pytorch_fid"):
        pytest.importorskip(module, reason=f"needs {module}; answers.json has the answers")
    from tests.evaluation.agreement import answers

    for name, (real, fake) in inputs.feature_sets().items():
        assert answers.of_features(real, fake) == pytest.approx(ANSWERS["features"][name], rel=1e-5)
