"""What a written model answers in the C++ session of a server, and what is not published."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import yaml
from tensorflow_serving.apis import prediction_log_pb2

from dcgan_tf import load_generator
from dcgan_tf.generation.sampling import decode, generate, latents_from_seeds, slerp
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.models.pixels import to_float, to_uint8
from dcgan_tf.models.stock import stock_generator
from dcgan_tf.serving import saved_model
from dcgan_tf.serving.c_api import Session, SessionError
from dcgan_tf.serving.saved_model import read_signatures
from dcgan_tf.serving.signatures import build_signatures
from dcgan_tf.serving.verification import decode_pngs
from tests.conftest import ROOT
from tests.small_runs import STEP, export_unverified, make_networks, read

TEN_CLASSES = {"conditional": True, "class_names": tuple("0123456789")}
KINDS = [
    {"image_size": "28"},
    {"channels": "3", "upsampling": "bilinear", "discriminator_head": "average_pool"},
    {"architecture": "mlp", "generator_filters": "16", "spectral_norm": True, "dropout": 0.3},
    TEN_CLASSES,
]
LARGER_KINDS = [
    {"image_size": "64", "channels": "3", "dropout": 0.3},
    {"image_size": "64", "upsampling": "nearest", "discriminator_head": "average_pool"},
    {"image_size": "64", "channels": "3", "conditional": True, "class_names": ("cat", "dog", "fox")},
]


@pytest.fixture(
    scope="module", params=[*KINDS, *(pytest.param(kind, marks=pytest.mark.long) for kind in LARGER_KINDS)], ids=str
)
def exported(request, tmp_path_factory):
    networks = make_networks(**request.param)
    path = export_unverified(networks, tmp_path_factory.mktemp("saved_model"), metrics={"metric/x": 1.5})
    return networks, path, Session(path, read_signatures(path))


def generate_at_zero(networks, labels):
    images = networks.generator([np.zeros((len(labels), 8), np.float32), labels], training=False)
    return to_uint8(images).numpy().astype(int)


def labeled(networks, inputs):
    """The inputs, with class 1 in each row if the model is conditional."""
    rows = len(next(iter(inputs.values())))
    return {**inputs, "label": np.ones(rows, np.int64)} if networks.config.conditional else inputs


def live_images(networks, seeds):
    return generate(networks.generator, seeds, np.ones(len(seeds)) if networks.config.conditional else None)


def test_signatures_have_names_and_a_free_batch(exported):
    networks, path, _ = exported
    image = [None, *networks.config.height_and_width, int(networks.config.channels)]
    loaded = tf.saved_model.load(str(path))
    described = {
        name: {
            key: (spec.dtype.name, spec.shape.as_list())
            for key, spec in [*function.structured_input_signature[1].items(), *function.structured_outputs.items()]
        }
        for name, function in loaded.signatures.items()
    }
    assert described["discriminate"].pop("features")[0] == "float32"
    seed, number = ("int64", [None]), ("float32", [None])
    if networks.config.conditional:
        assert all(signature.pop("label") == ("int64", [None]) for signature in described.values())
    assert described == {
        "serving_default": {"z": ("float32", [None, 8]), "images": ("uint8", image)},
        "sample": {"seed": seed, "psi": number, "images": ("uint8", image), "z": ("float32", [None, 8])},
        "sample_png": {"seed": seed, "image_bytes": ("string", [None])},
        "interpolate": {"seed_from": seed, "seed_to": seed, "t": number, "images": ("uint8", image)},
        "discriminate": {"images": ("uint8", image), "logits": number, "probability": number},
    }


def test_pixels_are_the_live_generators(exported):
    networks, _, session = exported
    seeds = np.array([3, 1, 4, 1, 5], np.int64)
    live = live_images(networks, seeds)
    assert live[[0, 1, 2, 4]].std(0).mean() > 10  # Otherwise anything would agree.
    z = latents_from_seeds(seeds, 8).numpy()
    sampled = session.run("sample", labeled(networks, {"seed": seeds, "psi": np.ones(5, np.float32)}))
    pngs = session.run("sample_png", labeled(networks, {"seed": seeds}))["image_bytes"]
    assert all(png.startswith(b"\x89PNG") for png in pngs)
    for images in (
        session.run("serving_default", labeled(networks, {"z": z}))["images"],
        sampled["images"],
        decode_pngs(pngs),
    ):
        assert np.abs(images.astype(int) - live).max() <= 1
    np.testing.assert_allclose(sampled["z"], z, atol=1e-6)
    np.testing.assert_array_equal(sampled["images"][1], sampled["images"][3])


def test_psi_scales_the_latent(exported):
    networks, _, session = exported
    seeds, psi = np.array([3, 3, 3], np.int64), np.array([1, 0.5, 0], np.float32)
    z = session.run("sample", labeled(networks, {"seed": seeds, "psi": psi}))["z"]
    np.testing.assert_allclose(z, psi[:, None] * z[:1], atol=1e-6)


def test_interpolation_runs_from_one_image_to_the_other(exported):
    networks, _, session = exported
    inputs = {"seed_from": np.full(3, 7, np.int64), "seed_to": np.full(3, 9, np.int64)}
    inputs |= {"t": np.array([0, 0.5, 1], np.float32)}
    images = session.run("interpolate", labeled(networks, inputs))["images"].astype(int)
    ends = live_images(networks, [7, 9])
    assert np.abs(images[[0, 2]] - ends).max() <= 1
    assert np.abs(images[1] - ends).max() > 1


def test_slerp_by_hand():
    first, last = tf.constant([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]]), tf.constant([[0.0, 1.0], [0.0, 4.0], [1.0, 1.0]])
    half = np.sqrt(0.5)
    expected = [[half, half], [2 * half, 4 * half], [1.0, 1.0]]
    np.testing.assert_allclose(slerp(first, last, tf.fill([3], 0.5)), expected, atol=1e-6)
    np.testing.assert_allclose(slerp(first, last, tf.zeros(3)), first, atol=1e-6)
    np.testing.assert_allclose(slerp(first, last, tf.ones(3)), last, atol=1e-6)


def test_discriminator_answers_as_live(exported):
    networks, _, session = exported
    images = np.random.default_rng(0).integers(0, 256, (4, *networks.config.sample_shape), np.uint8)
    labels = np.ones(4, np.int64) if networks.config.conditional else None
    live = build_outputs(networks.discriminator)(with_labels(to_float(images), labels), training=False)
    served = session.run("discriminate", labeled(networks, {"images": images}))
    for name in ("logits", "probability", "features"):
        np.testing.assert_allclose(served[name], live[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_rows_do_not_depend_on_their_batch(exported):
    networks, _, session = exported
    inputs = labeled(networks, {"seed": np.arange(9, dtype=np.int64), "psi": np.ones(9, np.float32)})
    together = session.run("sample", inputs)["images"].astype(int)
    for row in range(9):
        alone = session.run("sample", {name: values[row : row + 1] for name, values in inputs.items()})["images"]
        assert np.abs(alone - together[row]).max() <= 1


@pytest.mark.parametrize(
    ("signature", "inputs", "expected"),
    [
        ("serving_default", {"z": np.zeros((0, 8), np.float32)}, "at least one row"),
        ("sample_png", {"seed": np.zeros(10_001, np.int64)}, "at most 1024 rows"),
        (
            "sample",
            {"seed": np.zeros(3, np.int64), "psi": np.ones(2, np.float32)},
            "the same number of rows in every input",
        ),
        ("serving_default", {"z": np.zeros((2, 7), np.float32)}, r"expected the shape \[rows, 8\]"),
        ("serving_default", {"z": np.zeros((2, 8), np.int64)}, "[Ee]xpects? .*float|dtype|type"),
        ("serving_default", {"seed": np.zeros(1, np.int64)}, r"takes \[.*'z'\]. Received: \[.*'seed'\]"),
    ],
)
def test_bad_requests_are_refused_and_the_session_lives_on(exported, signature, inputs, expected):
    networks, _, session = exported
    with pytest.raises(SessionError, match=expected):
        session.run(signature, labeled(networks, inputs))
    assert session.run("sample_png", labeled(networks, {"seed": np.zeros(1, np.int64)}))["image_bytes"].shape == (1,)


@pytest.mark.parametrize("label", [-1, 10])
def test_label_out_of_range_is_refused(exported, label):
    networks, _, session = exported
    if networks.config.conditional:
        with pytest.raises(SessionError, match=f"expected a label from 0 to {networks.config.label_count - 1}"):
            session.run("sample_png", {"seed": np.zeros(2, np.int64), "label": np.array([0, label])})


def test_another_label_is_another_image(exported):
    networks, _, session = exported
    if networks.config.conditional:
        inputs = {"z": np.zeros((3, 8), np.float32), "label": np.arange(3)}
        images = session.run("serving_default", inputs)["images"]
        np.testing.assert_array_equal(np.abs(images - generate_at_zero(networks, np.arange(3))) <= 1, True)
        assert len({image.tobytes() for image in images}) == 3


def test_requests_batched_by_a_server_get_their_own_rows(exported):
    """Server-side batching, as in batching.config: small requests share a batch, and a large one is split."""
    networks, path, _ = exported
    loaded = tf.saved_model.load(str(path))  # Its variables live as long as this does.
    served = loaded.signatures["sample_png"]

    @tf.nondifferentiable_batch_function(
        num_batch_threads=2, max_batch_size=1024, batch_timeout_micros=50_000, allowed_batch_sizes=[1, 8, 64]
    )
    def batched(*inputs):
        return served(**dict(zip(("seed", "label"), inputs, strict=False)))["image_bytes"]

    answers = {}

    def ask(first, rows):
        inputs = labeled(networks, {"seed": np.arange(first, first + rows)})
        answers[first] = batched(*(tf.constant(value) for value in inputs.values())).numpy()

    threads = [
        threading.Thread(target=ask, args=(100 * number, 100 if number == 11 else 1 + number % 5))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers[1100]) == 100
    for first, pngs in answers.items():
        live = live_images(networks, range(first, first + len(pngs)))
        assert np.abs(decode_pngs(pngs).astype(int) - live).max() <= 1
    assert len(answers) == 12


def test_warm_up_records_parse_and_replay(exported):
    _, path, session = exported
    records = tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests"))
    seen = []
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        session.run(request.model_spec.signature_name, inputs)
        seen.append((request.model_spec.signature_name, len(next(iter(inputs.values())))))
    names = ["serving_default", "sample", "sample_png", "interpolate", "discriminate"]
    assert seen == [(name, rows) for name in names for rows in saved_model.WARM_UP_ROWS]


def test_metadata_and_model_card(exported):
    networks, path, _ = exported
    metadata = json.loads((path / "assets.extra" / "model.json").read_text())
    assert (metadata["version"], metadata["step"]) == (1, STEP)
    assert metadata["metrics"] == {"metric/x": 1.5}
    assert metadata["config"]["generator_filters"] == networks.config.generator_filters
    assert "data_dir" not in metadata["config"]
    assert metadata["packages"]["tensorflow"] == tf.__version__
    card = (path.parent / "MODEL_CARD.md").read_text()
    for text in (
        "# Generator of mnist images, version 1",
        f"{STEP} steps",
        "`sample`",
        "`psi` float32 [N]",
        "## Limits",
        "| metric/x | 1.5 |",
        "![Generated images, not selected](1/assets.extra/samples.png)",
    ):
        assert text in card
    assert "another model" not in card
    rows = networks.config.label_count or 8
    assert read(path / "assets.extra" / "samples.png").shape[0] >= 48 * rows
    header = yaml.safe_load(card.split("---\n")[1])
    assert (header["library_name"], header["metrics"]) == ("keras", ["x"])
    (result,) = header["model-index"][0]["results"]
    assert (result["dataset"]["name"], result["metrics"]) == ("mnist", [{"type": "x", "value": 1.5}])


def test_code_of_the_model_card_runs(exported, tmp_path, monkeypatch):
    networks, path, _ = exported
    shutil.copytree(path, tmp_path / "saved_model" / "1")
    stock_generator(networks.generator).save(tmp_path / "generator.keras")
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", (path.parent / "MODEL_CARD.md").read_text(), re.DOTALL)
    values = {}
    exec(first, values)
    labels = [0, 0] if networks.config.conditional else None
    np.testing.assert_array_equal(values["images"], generate(networks.generator, [0, 1], labels))
    exec(second, values)
    z = np.random.default_rng(0).standard_normal((16, 8)).astype("float32")
    live = decode(networks.generator, z, [0] * 16 if networks.config.conditional else None)
    assert np.abs(values["images"].astype(int) - live).max() <= 1


def test_weights_are_stored_once_and_no_optimizer(exported):
    networks, path, _ = exported
    names = {name for name, _ in tf.train.list_variables(str(path / "variables" / "variables"))}
    assert not any("adam" in name.lower() or "optimizer" in name.lower() for name in names)
    stored = sum(file.stat().st_size for file in (path / "variables").glob("*.data*"))
    needed = 4 * (networks.generator.count_params() + networks.discriminator.count_params())
    # Only the largest kernel is looked for: the table of names is as large as the weights of these small networks.
    largest = max((weight.shape for weight in networks.generator.weights), key=np.prod)
    shapes = [tuple(shape) for _, shape in tf.train.list_variables(str(path / "variables" / "variables"))]
    assert shapes.count(tuple(largest)) == sum(
        weight.shape == largest
        for network in (networks.generator, networks.discriminator)
        for weight in network.weights
    )
    assert stored >= needed


@pytest.mark.long
def test_another_engine_agrees(exported):
    import openvino

    networks, path, _ = exported
    if networks.config.conditional:
        pytest.skip("the check of a label's range is an operation that openvino does not know")
    model = openvino.convert_model(str(path), input=[("serving_default_z:0", [5, 8])])
    z = latents_from_seeds(np.arange(5), 8).numpy()
    answer = next(iter(openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({0: z}).values()))
    assert np.abs(answer.astype(int) - live_images(networks, range(5))).max() <= 1


@pytest.mark.long
def test_command_line_tool_shows_runs_and_scans(run_dir, tmp_path):
    path = str(run_dir / "saved_model" / "1")

    def run(*arguments):
        tool = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
        result = subprocess.run([*tool, *arguments], capture_output=True, text=True, timeout=120)
        return result.stdout + result.stderr

    np.save(tmp_path / "seeds.npy", np.array([1, 2]))
    assert "inputs['seed'] tensor_info" in run("show", "--dir", path, "--all")
    assert "does not contain the default denylisted ops" in run("scan", "--dir", path, "--tag_set", "serve")
    arguments = ("--tag_set", "serve", "--signature_def", "sample_png", "--inputs", f"seed={tmp_path / 'seeds.npy'}")
    assert "Result for output key image_bytes" in run("run", "--dir", path, *arguments)


def test_model_of_points_answers_with_points(points_run_dir):
    path = points_run_dir / "saved_model" / "1"
    signatures = read_signatures(path)
    assert sorted(signatures) == ["discriminate", "interpolate", "sample", "serving_default"]
    session = Session(path, signatures)
    answer = session.run("sample", {"seed": np.array([3, 1]), "psi": np.ones(2, np.float32)})
    live = load_generator(points_run_dir).sample([3, 1])
    np.testing.assert_allclose(answer["points"], live, rtol=1e-4, atol=1e-4)
    assert session.run("discriminate", {"points": live})["logits"].shape == (2,)


def test_a_discriminator_of_several_images_at_once_is_left_out():
    names = [signature.name for signature in build_signatures(make_networks(pack=2))]
    assert names == ["serving_default", "sample", "sample_png", "interpolate"]


KILLED_EXPORT = """
import pathlib, sys
from dcgan_tf.serving.saved_model import export_networks
from tests.small_runs import make_networks
networks = make_networks()
print("ready", flush=True)
while True:
    export_networks(networks, pathlib.Path(sys.argv[1]), keep_versions=3, verify="server")
"""


@pytest.mark.long
def test_killed_at_random_moments_no_visible_version_is_incomplete(tmp_path):
    """Eight killed exports may leave hidden files, but every numbered folder is complete and the newest answers.

    Versions are published, and old ones removed, all the time.
    """
    chance = random.Random(0)
    newest = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_EXPORT, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=ROOT,
        )
        process.stdout.readline()
        time.sleep(chance.uniform(0.2, 7))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for path in tmp_path.iterdir():
            if path.name.isdigit():
                assert (path / "saved_model.pb").stat().st_size > 0
                assert (path / "assets.extra" / "tf_serving_warmup_requests").exists()
                newest = max(newest, int(path.name))
    assert newest > 0
    path = tmp_path / str(newest)
    session = Session(path, read_signatures(path))
    for signature in build_signatures(make_networks()):
        session.run(signature.name, signature.make_example(2))
