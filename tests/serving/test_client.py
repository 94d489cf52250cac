"""The client, and curl, against a server of TensorFlow Serving's protocols over the C++ session of an export."""

import base64
import importlib.util
import io
import json
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from dcgan_tf.drawing.grids import make_grid
from dcgan_tf.errors import UserError
from dcgan_tf.generation.networks import load_networks
from dcgan_tf.generation.sampling import generate
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.models.pixels import to_float
from dcgan_tf.runs.run_directory import load_run
from dcgan_tf.serving.answers import Signature
from dcgan_tf.serving.client import ROWS_PER_REQUEST, Client
from dcgan_tf.serving.signatures import MAX_ROWS
from dcgan_tf.serving.verification import decode_pngs
from tests.conftest import ROOT, one_line
from tests.serving.serving_stub import Server

SEEDS = [3, 1, 4, 1, 5]


@pytest.fixture(scope="module")
def runs(run_dir, conditional_run_dir):
    """Version 1, called "stable", is gray and without classes; version 2, called "canary", is conditional, in color."""
    return {1: run_dir, 2: conditional_run_dir}


@pytest.fixture(scope="module")
def pairs(runs):
    return {version: load_networks(load_run(directory)) for version, directory in runs.items()}


@pytest.fixture(scope="module")
def versions(runs):
    return {version: directory / "saved_model" / "1" for version, directory in runs.items()}


@pytest.fixture(scope="module")
def running_server(versions):
    server = Server("dcgan", versions, {"stable": 1, "canary": 2})
    yield server
    server.close()


@pytest.fixture
def server(running_server):
    """The running server. After each test, it must still answer."""
    yield running_server
    running_server.unavailable = 0
    for use_grpc in (False, True):
        host = running_server.grpc if use_grpc else running_server.rest
        assert Client(host, grpc=use_grpc, version_label="stable", deadline=10).sample([0]).shape == (1, 16, 16, 1)


@pytest.fixture(params=[False, True], ids=["rest", "grpc"])
def make_client(request, server):
    def make(version_label="stable", **options):
        host = options.pop("host", server.grpc if request.param else server.rest)
        return Client(host, version_label=version_label, grpc=request.param, **{"deadline": 20, **options})

    return make


@pytest.mark.parametrize(("version", "label", "labels"), [(1, "stable", None), (2, "canary", [0, 1, 2, 2, 1])])
def test_answers_are_the_live_networks(make_client, pairs, version, label, labels):
    pair, client = pairs[version], make_client(label)
    live = generate(pair.generator, SEEDS, labels)
    assert live[:2].std(0).mean() > 10
    images = client.sample(SEEDS, labels=labels)
    assert images.dtype == np.uint8
    assert np.abs(images.astype(int) - live).max() <= 1
    files = client.sample_png(SEEDS, labels)
    assert all(type(file) is bytes and file.startswith(b"\x89PNG") for file in files)
    np.testing.assert_array_equal(decode_pngs(files), images)
    walk = client.interpolate(3, 5, [0, 1], labels and [0, 1])
    assert np.abs(walk.astype(int) - live[[0, 4]]).max() <= 1
    answer = client.discriminate(images, labels)
    expected = build_outputs(pair.discriminator)(with_labels(to_float(images), labels and tf.constant(labels)))
    for name in ("logits", "probability", "features"):
        assert answer[name].dtype == np.float32
        np.testing.assert_allclose(answer[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_single_values_stand_for_every_row(make_client):
    client = make_client("canary")
    np.testing.assert_array_equal(client.sample(SEEDS, 0.5, 2), client.sample(SEEDS, [0.5] * 5, [2] * 5))
    assert len(np.unique(client.sample([1, 2, 3], psi=0, labels=1), axis=0)) == 1  # All are the image of z = 0.


def test_no_label_means_the_newest_version(make_client):
    assert make_client("").image_shape() == (16, 16, 3)


def test_status(make_client):
    assert [(v.version, v.state, v.error) for v in make_client("").status()] == [
        (2, "AVAILABLE", ""),
        (1, "AVAILABLE", ""),
    ]
    assert [version.version for version in make_client("stable").status()] == [1]


def test_many_rows_are_several_requests(make_client, server, monkeypatch):
    assert ROWS_PER_REQUEST == MAX_ROWS
    monkeypatch.setattr("dcgan_tf.serving.client.ROWS_PER_REQUEST", 100)
    client = make_client()
    client.sample([0])
    before = server.requests
    seeds = np.arange(250)
    images = client.sample(seeds)
    assert server.requests - before == 3
    places = [0, 99, 100, 199, 200, 249]
    assert np.abs(images[places].astype(int) - client.sample(seeds[places])).max() <= 1
    assert len(images) == 250


def test_ten_thousand_and_one_rows(server):
    client = Client(server.grpc, grpc=True, version_label="stable")
    client.sample([0])
    before = server.requests
    assert len(client.sample_png(np.arange(10_001))) == 10_001
    assert server.requests - before == 10


def test_concurrent_callers_get_their_own_rows(make_client, pairs):
    client = make_client()
    answers = {}

    def ask(first):
        answers[first] = client.sample(range(first, first + 1 + first % 4))

    threads = [threading.Thread(target=ask, args=(7 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first, images in answers.items():
        live = generate(pairs[1].generator, range(first, first + 1 + first % 4))
        assert np.abs(images.astype(int) - live).max() <= 1
    assert len(answers) == 8


def test_an_unavailable_server_is_asked_again(make_client, server):
    said = []
    client = make_client(on_wait=said.append)
    server.unavailable = 3
    assert len(client.sample([0])) == 1
    assert server.unavailable == 0
    assert len(said) == 1  # Once, however often the request is repeated.
    assert "queue to which this task was submitted is full" in said[0]


def test_a_server_that_starts_late_is_waited_for(versions):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    start = threading.Timer(0.4, lambda: started.append(Server("dcgan", {1: versions[1]}, {}, rest_port=port)))
    start.start()
    assert len(Client(f"127.0.0.1:{port}", deadline=20).sample([0])) == 1
    start.join()
    started[0].close()


def test_the_deadline_is_kept(make_client, server):
    server.unavailable = 1_000_000
    start = time.monotonic()
    with pytest.raises(UserError, match=r"expected a server that answers within 2 seconds.*queue"):
        make_client(deadline=2).sample([0])
    assert time.monotonic() - start < 20


def test_a_server_that_never_answers_is_left():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(UserError, match=r"within 0\.5 seconds.*timed out"):
            Client(host, deadline=0.5).sample([0])
        assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda make: make(model="other").sample([0]), r"`model`: .* Received: 'other' \(Servable not found"),
        (lambda make: make(model="other", version_label="").status(), r"`model`: .*Could not find any versions"),
        (lambda make: make("beta").sample([0]), r"`version_label`: .* Received: 'beta' \(Unrecognized"),
        (lambda make: make(host="no-such-host.invalid").sample([0]), "`host`: expected a host that can be found"),
        (
            lambda make: make(host="127.0.0.1:x").sample([0]),
            "`host`: expected a name or an address, with or without :port",
        ),
        (lambda make: make().sample([]), "at least one row"),
        (lambda make: make().sample(np.zeros(0, int)), "at least one row"),
        (lambda make: make().sample([0.5]), "seeds: expected whole numbers"),
        (lambda make: make().sample([2**63]), r"below 2\*\*63"),
        (
            lambda make: make().sample([1, 2], psi=[1, 1, 1]),
            "the same number of rows in every input. Received: seed 2, psi 3",
        ),
        (lambda make: make().sample([1], labels=1), "`label`: expected none"),
        (lambda make: make("canary").sample([1]), "`label`: expected the number of a class"),
        (lambda make: make("canary").sample([1], labels=10), "refused the request: .*label"),
        (lambda make: make().discriminate(np.zeros((1, 8, 8, 1), np.uint8)), r"expected uint8 \[N, 16, 16, 1\]"),
        (lambda make: make().discriminate(np.zeros((1, 16, 16, 1))), "Received: float64"),
        (lambda make: make()._predict("paint", {}, None), "the signature 'paint'.* only: discriminate, interpolate"),
    ],
)
def test_mistakes_are_one_clear_line(make_client, call, expected):
    with pytest.raises(UserError, match=expected) as caught:
        call(make_client)
    assert "\n" not in str(caught.value)


def test_a_model_of_points_is_refused(make_client):
    client = make_client()
    signatures = ("serving_default", "sample", "interpolate", "discriminate")
    client._signatures = {name: Signature({}, {}) for name in signatures}
    with pytest.raises(UserError, match="expected a model of images with the signature 'sample'"):
        client.sample([0])


def test_each_protocol_knows_a_strangers_port(server):
    with pytest.raises(UserError, match=r"expected the REST interface of TensorFlow Serving.*`grpc`"):
        Client(server.grpc, deadline=5).sample([0])
    with pytest.raises(UserError, match="expected a server that answers within 1 seconds"):
        Client(server.rest, grpc=True, deadline=1).sample([0])


def test_without_the_optional_package_grpc_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"`grpc`: expected the package tensorflow-serving-api.*pip install"):
        Client(grpc=True)


def curl(server, path, body=None):
    """The HTTP status and the answer that curl receives."""
    data = [] if body is None else ["-d", "@-"]
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    command = ["curl", "-s", "-w", "\n%{http_code}", *data, f"http://{server.rest}/v1/models/{path}"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=True)
    content, status = result.stdout.rsplit("\n", 1)
    return int(status), json.loads(content)


def test_curl_in_rows_and_columns(server, pairs):
    live = generate(pairs[1].generator, [3, 1])
    stable = "dcgan/labels/stable:predict"
    row = {"signature_name": "sample", "instances": [{"seed": 3, "psi": 1.0}, {"seed": 1, "psi": 1.0}]}
    column = {"signature_name": "sample", "inputs": {"seed": [3, 1], "psi": [1.0, 1.0]}}
    rows, columns = curl(server, stable, row)[1]["predictions"], curl(server, stable, column)[1]["outputs"]
    assert columns.keys() == {"images", "z"}
    assert [answer["images"] for answer in rows] == columns["images"]
    assert np.abs(np.array(columns["images"]) - live).max() <= 1
    for request, key in (({"instances": [3, 1]}, "predictions"), ({"inputs": {"seed": [3, 1]}}, "outputs")):
        status, answer = curl(server, stable, {"signature_name": "sample_png", **request})
        assert status == 200
        with Image.open(io.BytesIO(base64.b64decode(answer[key][0]["b64"]))) as picture:
            assert np.abs(np.asarray(picture)[..., None].astype(int) - live[0]).max() <= 1


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("other:predict", {"inputs": [1]}, 404, "Servable not found for request: Latest(other)"),
        ("other", None, 404, "Could not find any versions of model other"),
        ("dcgan/versions/7:predict", {"inputs": [1]}, 404, "Servable not found for request: Specific(dcgan, 7)"),
        ("dcgan/labels/beta:predict", {"inputs": [1]}, 400, "Unrecognized servable version label: beta"),
        ("dcgan:predict", {"signature_name": "paint", "inputs": [1]}, 400, '"paint" not found in signature def'),
        ("dcgan:predict", "{", 400, "JSON Parse error"),
        ("dcgan:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("dcgan:paint", {}, 400, "Malformed request"),
        ("dcgan/versions/1:predict", {"instances": []}, 400, "No values in 'instances' array"),
        ("dcgan/versions/1:predict", {"inputs": []}, 400, "at least one row"),
        ("dcgan/versions/1:predict", {"inputs": [[1.0] * 7]}, 400, "the shape [rows, 8]"),
        ("dcgan/versions/1:predict", {"inputs": [["1"] * 8]}, 400, "not of expected type"),
        ("dcgan/versions/1:predict", {"inputs": [[1.0] * 8, [1.0]]}, 400, "unexpected size: 1 at level: 1"),
        (
            "dcgan/versions/1:predict",
            {"signature_name": "sample_png", "inputs": [1.5]},
            400,
            "not of expected type",
        ),
        (
            "dcgan/versions/1:predict",
            {"signature_name": "sample_png", "inputs": list(range(10_001))},
            400,
            "expected at most 1024 rows",
        ),
        ("dcgan/versions/1:predict", {"signature_name": "sample", "inputs": {"seed": [1]}}, 400, "input: psi"),
        ("dcgan:predict", {"signature_name": "sample_png", "inputs": {"seed": [1], "label": [10]}}, 400, "label"),
    ],
)
def test_curl_error_bodies(server, path, body, status, error):
    received, answer = curl(server, path, body)
    assert received == status
    assert answer.keys() == {"error"}
    assert error in answer["error"]


@pytest.mark.parametrize(
    ("signature", "inputs", "code", "error"),
    [
        ("sample_png", {"seed": np.zeros(10_001, np.int64)}, "INVALID_ARGUMENT", "at most 1024 rows"),
        ("sample_png", {"seed": np.zeros(0, np.int64)}, "INVALID_ARGUMENT", "at least one row"),
        ("sample_png", {"seed": np.zeros(2, np.float32)}, "INVALID_ARGUMENT", "Expects arg[0] to be int64 but float"),
        ("serving_default", {"z": np.zeros((2, 7), np.float32)}, "INVALID_ARGUMENT", "the shape [rows, 8]"),
        # As many values as one image of the right size has.
        (
            "discriminate",
            {"images": np.zeros((4, 8, 8, 1), np.uint8)},
            "INVALID_ARGUMENT",
            "the shape [rows, 16, 16, 1]",
        ),
        ("sample", {"seed": np.zeros(2, np.int64)}, "INVALID_ARGUMENT", "Missing but required: {psi}"),
        ("paint", {}, "FAILED_PRECONDITION", 'signature key "paint" not found'),
    ],
)
def test_grpc_errors(server, signature, inputs, code, error):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "dcgan", signature
    request.model_spec.version_label = "stable"
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    assert caught.value.code().name == code
    assert error in caught.value.details()


def test_command(server, cli, tmp_path, pairs):
    """Every action, over REST."""

    def ask(*arguments):
        result = cli("client", f"--host={server.rest}", "--version_label=stable", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    live = generate(pairs[1].generator, range(7, 13))
    assert "Wrote 6 images" in ask("--seed=7", "--num=6", f"--out={tmp_path / 'new' / 'grid.png'}")
    with Image.open(tmp_path / "new" / "grid.png") as picture:
        assert np.abs(np.asarray(picture)[..., None].astype(int) - make_grid(live)).max() <= 1
    ask("--action=sample_png", "--seed=7", "--num=6", f"--out={tmp_path / 'files'}")
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == [f"{seed:08d}.png" for seed in range(7, 13)]
    lines = ask("--action=discriminate", f"--images={tmp_path / 'files'}").splitlines()
    assert len(lines) == 6
    assert "00000007.png: real with probability 0." in lines[0]
    ask("--action=interpolate", "--seed=7", "--seed_to=12", "--num=5", f"--out={tmp_path / 'walk.png'}")
    with Image.open(tmp_path / "walk.png") as picture:
        assert picture.size == (2 + 5 * 50, 52)
    assert ask("--action=status") == "dcgan version 1: AVAILABLE\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--num=0"], "--num: 0 is not a positive integer. Received: '0'"),
        (["--out=grid.jpg"], "--out: expected a file that ends in .png"),
        (["--psi=nan"], "--psi: expected a finite number"),
        (["--seed=9223372036854775807"], "--seed: expected at most"),
        (["--action=discriminate"], "--images: expected a picture or a folder of pictures"),
        (["--action=discriminate", f"--images={__file__}"], "--images: expected a picture"),
        (["--version_label=beta"], "--version_label: expected one of the labels"),
    ],
)
def test_command_mistakes(server, cli, tmp_path, arguments, expected):
    default = ["--version_label=stable", f"--out={tmp_path / 'grid.png'}"]
    assert expected in one_line(cli("client", f"--host={server.rest}", *default, *arguments))
    assert list(tmp_path.iterdir()) == []


def test_rest_needs_no_tensorflow(server, tmp_path):
    """The command works in a process where TensorFlow cannot be imported."""
    program = "import sys; sys.modules['tensorflow'] = None; from dcgan_tf.cli.main import main; main()"
    arguments = ["client", f"--host={server.rest}", "--version_label=stable", "--num=2", f"--out={tmp_path / 'a.png'}"]
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == f"Wrote 2 images to {tmp_path / 'a.png'}\n", result.stderr
