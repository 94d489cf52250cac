"""The client against servers that answer wrongly, slowly or without end, and the pictures that it reads."""

import base64
import contextlib
import itertools
import json
import socketserver
import threading
import time

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.data.pictures import BadPictureError, Limits, load_picture
from dcgan_tf.errors import UserError
from dcgan_tf.serving.answers import MAX_VALUES, Signature
from dcgan_tf.serving.client import ROWS_PER_REQUEST, Client
from dcgan_tf.serving.transports import GrpcTransport, RestTransport
from tests.conftest import one_line
from tests.data.test_pictures import bomb

IMAGES = [[[[0], [1]], [[2], [255]]]] * 2
LATENTS = [[0, 0.5, -1e-3]] * 2
FILE = {"b64": base64.b64encode(b"\x89PNG\r\n\x1a\n...").decode()}


def tensors(**shapes):
    return {name: {"tensor_shape": {"dim": [{"size": str(size)} for size in shape]}} for name, shape in shapes.items()}


SIGNATURES = {
    "sample": {"inputs": tensors(seed=(-1,), psi=(-1,)), "outputs": tensors(images=(-1, 2, 2, 1), z=(-1, 3))},
    "sample_png": {"inputs": tensors(seed=(-1,)), "outputs": tensors(image_bytes=(-1,))},
    "discriminate": {
        "inputs": tensors(images=(-1, 2, 2, 1)),
        "outputs": tensors(logits=(-1,), probability=(-1,), features=(-1, 2)),
    },
}


def metadata(signatures):
    return {"metadata": {"signature_def": {"signature_def": signatures}}}


def http(content, status="200 OK", length=None):
    """A server's whole answer."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


@pytest.fixture
def serve():
    """Starts a server of bytes: `serve(predict=http(...))` returns its host.

    An answer is bytes, or an iterator of bytes that are sent one after the other.
    """
    with contextlib.ExitStack() as servers:

        def start(**answers):
            answers = {"metadata": http(metadata(SIGNATURES)), **answers}

            class Handler(socketserver.StreamRequestHandler):
                def handle(self):
                    path, length = self.rfile.readline().split()[1].decode(), 0
                    while (line := self.rfile.readline()).strip():
                        if line.lower().startswith(b"content-length"):
                            length = int(line.split(b":")[1])
                    self.rfile.read(length)
                    answer = answers[path.replace(":", "/").rsplit("/", 1)[1]]
                    with contextlib.suppress(OSError):
                        for part in [answer] if isinstance(answer, bytes) else answer():
                            self.wfile.write(part)

            server = servers.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
            # Some tests' clients hang up. A traceback would land in the output of whichever test runs by then.
            server.handle_error = lambda *_: None
            server.daemon_threads, server.block_on_close = True, False
            threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
            servers.callback(server.shutdown)
            return f"127.0.0.1:{server.server_address[1]}"

        yield start


def refused(ask):
    """The one line with which the client refuses."""
    with pytest.raises(UserError) as caught:
        ask()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def outputs(**changes):
    return {"outputs": {"images": IMAGES, "z": LATENTS, **changes}}


def test_right_answers(serve):
    files = http({"outputs": [FILE, FILE]})
    client = Client(serve(predict=http(outputs())))
    assert client.sample([0, 1])[1, :, :, 0].tolist() == [[0, 1], [2, 255]]
    assert client.image_shape() == (2, 2, 1)
    assert Client(serve(predict=files)).sample_png([0, 1]) == [base64.b64decode(FILE["b64"])] * 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (outputs(images=IMAGES[:1]), r"(1, 2, 2, 1)"),
        (outputs(images=IMAGES * 2), r"(4, 2, 2, 1)"),
        (outputs(images=[]), r"(0,)"),
        (outputs(images=[IMAGES[0], [[[0]]]]), "inhomogeneous"),
        (outputs(images=[[[0, 1], [2, 255]]] * 2), "(2, 2, 2)"),
        (outputs(images=[[[[float("nan")]] * 2] * 2] * 2), "not whole numbers from 0 to 255"),
        (outputs(images=[[[[256]] * 2] * 2] * 2), "not whole numbers from 0 to 255"),
        (outputs(images=[[[[-1]] * 2] * 2] * 2), "not whole numbers from 0 to 255"),
        (outputs(images=[[[[0.5]] * 2] * 2] * 2), "not whole numbers from 0 to 255"),
        (outputs(images=[[[[None]] * 2] * 2] * 2), "not whole numbers from 0 to 255"),
        (outputs(images=[[[["black"]] * 2] * 2] * 2), "could not convert"),
        (outputs(images=[[[[10**400]] * 2] * 2] * 2), "OverflowError"),
        (outputs(images={"0": IMAGES}), "TypeError"),
        (outputs(images=7), "shapes {'images': ()"),
        (outputs(images="text"), "could not convert"),
        (outputs(images=["x" * 1_000_000, *[""] * 100_000]), "could not convert"),
        (outputs(z=[[0, 1], [2, 3]]), "(2, 2)"),
        (outputs(more=[0]), "KeyError('more')"),
        ({"outputs": {"images": IMAGES}}, "'z': (2, 3)"),
        ({"outputs": IMAGES}, "AttributeError"),
        ({"outputs": None}, "AttributeError"),
        ({"results": 5}, "HTTP 200 OK"),
        ([1, 2], "HTTP 200 OK"),
        (None, "HTTP 200 OK"),
        (b"no JSON", "HTTP 200 OK"),
        (b"\xff\xfe", "HTTP 200 OK"),
        (b'{"outputs": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "HTTP 200 OK"),
        (b'{"outputs": ' + b"9" * 10_000 + b"}", "HTTP 200 OK"),
    ],
)
def test_wrong_images_are_one_line(serve, answer, expected):
    line = refused(lambda: Client(serve(predict=http(answer))).sample([0, 1]))
    assert "expected the REST interface of TensorFlow Serving" in line
    assert expected in line


def test_answers_of_the_discriminator(serve):
    right = {"logits": [1, -1], "probability": [0.75, 0.25], "features": [[1, 2], [3, 4]]}
    images = np.zeros((2, 2, 2, 1), np.uint8)
    answer = Client(serve(predict=http({"outputs": right}))).discriminate(images)
    assert answer["features"].tolist() == [[1, 2], [3, 4]]
    assert {values.dtype for values in answer.values()} == {np.dtype(np.float32)}
    for wrong in ({"logits": [1]}, {"logits": None}, {"probability": [[0.5], [0.5]]}, {"features": [[1, 2], [3]]}):
        refused(lambda wrong=wrong: Client(serve(predict=http({"outputs": right | wrong}))).discriminate(images))
    signatures = {**SIGNATURES, "discriminate": {**SIGNATURES["discriminate"], "outputs": tensors(logits=(-1,))}}
    assert "other outputs" in refused(lambda: Client(serve(metadata=http(metadata(signatures)))).discriminate(images))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([FILE], "(1,)"),
        ([FILE, {"b64": "no base64!"}], "base64"),
        ([FILE, {"b64": 5}], "TypeError"),
        ([FILE, {"base64": ""}], "KeyError('b64')"),
        ([FILE, "text"], "TypeError"),
        ([FILE, {"b64": base64.b64encode(b"GIF89a").decode()}], "not PNG files"),
        ("text", "TypeError"),
        (2, "TypeError"),
        ({"other": [FILE, FILE]}, "'other'"),
    ],
)
def test_wrong_files_are_one_line(serve, files, expected):
    assert expected in refused(lambda: Client(serve(predict=http({"outputs": files}))).sample_png([0, 1]))


@pytest.mark.parametrize(
    "answer",
    [
        {"metadata": 5},
        {"metadata": {"signature_def": []}},
        metadata([]),
        metadata({}),
        metadata({**SIGNATURES, "sample": None}),
        metadata({**SIGNATURES, "sample": {"inputs": [], "outputs": []}}),
        metadata({**SIGNATURES, "sample": {"outputs": {"images": {"tensor_shape": {"dim": [{"size": "x"}]}}}}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(images=())}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(images=(-1, 2, 2))}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(images=(-1, -1, 2, 1))}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(images=(-1, 0, 2, 1))}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(images=(-1, 10**9, 10**9, 3))}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(points=(-1, 2))}}),
        metadata({**SIGNATURES, "sample": {"outputs": tensors(z=(-1, 3))}}),
        metadata({**SIGNATURES, "sample": {"outputs": {}}}),
        metadata({f"signature {number}": {} for number in range(1000)}),
    ],
)
def test_wrong_metadata_are_one_line(serve, answer):
    host = serve(metadata=http(answer))
    assert "expected" in refused(lambda: Client(host).sample([0]))
    assert "expected" in refused(lambda: Client(host).image_shape())


@pytest.mark.parametrize(
    "versions",
    [
        5,
        {},
        {"1": 2},
        [5],
        [{}],
        [{"version": "x", "state": "AVAILABLE", "status": {}}],
        [{"version": 1, "state": "A"}],
    ],
)
def test_wrong_status_is_one_line(serve, versions):
    host = serve(dcgan=http({"model_version_status": versions}))
    if versions == {}:
        assert Client(host).status() == []
    else:
        assert "expected the REST interface" in refused(lambda: Client(host).status())


@pytest.mark.parametrize("error", [5, None, ["version label"], {"a": 1}, "two\nlines \x1b[2J", "long " * 10_000])
@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "503 Service Unavailable", "200 OK"])
def test_errors_of_any_type_are_one_line(serve, error, status):
    refused(lambda: Client(serve(metadata=http({"error": error}, status)), deadline=0.05).sample([0]))


def drip(start, part=b"x"):
    """Sends a part every few milliseconds: each part comes in time, but the whole answer does not."""
    yield start
    for _ in range(2000):
        time.sleep(0.01)
        yield part


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        lambda: drip(b""),
        lambda: drip(HEAD + b"X: "),
        lambda: drip(HEAD + b"Content-Length: 1000000\r\n\r\n"),
        lambda: drip(HEAD + b"Connection: close\r\n\r\n"),
        lambda: drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        lambda: drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda: (time.sleep(20) for _ in range(1)),
        http(b"cut off", length=1000),
    ],
    ids=["status", "header", "body", "body to the end", "chunks", "continue", "silence", "cut off"],
)
def test_deadline_is_for_the_whole_answer(serve, answer):
    host = serve(metadata=answer)
    before = threading.active_count()
    start = time.monotonic()
    assert "expected a server that answers within 0.3 seconds" in refused(
        lambda: Client(host, deadline=0.3).image_shape()
    )
    assert time.monotonic() - start < 10
    while threading.active_count() > before + 1:  # Only the server's own thread may be left.
        assert time.monotonic() - start < 10
        time.sleep(0.01)


@pytest.mark.parametrize(
    "start",
    [
        HEAD + b"Content-Length: 1000000000000\r\n\r\n",
        HEAD + b"Connection: close\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    ],
    ids=["length", "no length", "chunk", "negative chunk"],
)
def test_endless_body_is_not_read_to_its_end(serve, monkeypatch, start):
    monkeypatch.setattr("dcgan_tf.serving.transports.MAX_BYTES", 2**20)
    host = serve(metadata=lambda: itertools.chain([start], itertools.repeat(bytes(2**16))))
    assert "more than 1,048,576 bytes" in refused(lambda: Client(host, deadline=20).image_shape())


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\x00\x12\x04\x00\x1b[2J" + bytes(40) + b"\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        HEAD + b"X: 1\r\n" * 1000 + b"\r\n",
        HEAD + b"X" * 100_000 + b"\r\n\r\n",
        HEAD + b"Content-Length: -5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 301 Moved \x1b[2J\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_http_is_one_line(serve, answer):
    refused(lambda: Client(serve(metadata=answer), deadline=0.3).image_shape())


@pytest.mark.parametrize("grpc", [False, True])
@pytest.mark.parametrize("host", ["[::1", "a b", "a..b", "x" * 300, "ü" * 100, ":80", "", "http://", "127.0.0.1:0x5"])
def test_hosts_that_cannot_be_are_one_line(host, grpc):
    assert "`host`: expected" in refused(lambda: Client(host, grpc=grpc, deadline=0.3).image_shape())


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), float("inf"), 1e9])
def test_deadline_is_a_time(deadline):
    assert "`deadline`: expected" in refused(lambda: Client(deadline=deadline))


@pytest.mark.parametrize(
    ("image", "expected"), [((2, 2, 1), ROWS_PER_REQUEST), ((64, 64, 3), 84), ((256, 256, 3), 5), ((512, 512, 3), 1)]
)
def test_requests_are_small_enough_for_the_limit_of_an_answer(image, expected):
    asked = []

    class Recorder:
        def signatures(self, seconds):
            sample = Signature({"seed": (-1,), "psi": (-1,)}, {"images": (-1, *image), "z": (-1, 100)})
            return {"sample": sample, "sample_png": Signature({"seed": (-1,)}, {"image_bytes": (-1,)})}

        def predict(self, signature, inputs, outputs, seconds):
            asked.append(len(inputs["seed"]))
            return {name: np.zeros((shape[0], 1)) for name, shape in outputs.items()}

    client = Client()
    client._transport = Recorder()
    rows = 2 * expected + 1
    assert len(client.sample(range(rows))) == rows
    assert asked == [expected, expected, 1]
    assert expected * (np.prod(image) + 102) <= MAX_VALUES
    client.sample_png(range(rows))
    assert asked[3:] == [expected, expected, 1]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"images": np.zeros((1, 2, 2, 1), np.uint8)}, "(1, 2, 2, 1)"),
        ({"images": np.zeros((2, 2, 2, 1), np.float32)}, "type float32"),
        ({"other": np.zeros((2, 2, 2, 1), np.uint8)}, "'other'"),
        ({}, "shapes {}"),
    ],
)
def test_wrong_answers_over_grpc_are_one_line(monkeypatch, outputs, expected):
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    response = PredictResponse()
    for name, values in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
    transport = GrpcTransport("127.0.0.1", "dcgan", "")
    monkeypatch.setattr(transport, "_ask", lambda *_: response)
    shapes = {"images": (2, 2, 2, 1)}
    assert expected in refused(lambda: transport.predict("interpolate", {"t": np.zeros(2)}, shapes, 1))


def test_shapes_over_grpc_are_checked_before_any_memory_is_taken(monkeypatch):
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    response = PredictResponse()
    tensor = response.outputs["images"]
    tensor.dtype = 4  # DT_UINT8
    tensor.int_val.append(7)
    for size in (2, 10**6, 10**6, 1):
        tensor.tensor_shape.dim.add().size = size
    transport = GrpcTransport("127.0.0.1", "dcgan", "")
    monkeypatch.setattr(transport, "_ask", lambda *_: response)
    monkeypatch.setattr("tensorflow.make_ndarray", lambda _: pytest.fail("decoded"))
    line = refused(lambda: transport.predict("interpolate", {"t": np.zeros(2)}, {"images": (2, 2, 2, 1)}, 1))
    assert "(2, 1000000, 1000000, 1)" in line


def test_metadata_over_grpc_that_cannot_be_parsed_are_one_line(monkeypatch):
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap

    response = GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(SignatureDefMap())
    response.metadata["signature_def"].value = b"\xff\xff"
    transport = GrpcTransport("127.0.0.1", "dcgan", "")
    monkeypatch.setattr(transport, "_ask", lambda *_: response)
    assert "expected the gRPC interface" in refused(lambda: transport.signatures(1))


def test_what_a_server_says_is_printed_without_its_control_characters(cli, serve):
    version = {"version": "1", "state": "AVAILABLE", "status": {"error_message": "\x1b[2J\nmore"}}
    result = cli("client", "--action=status", f"--host={serve(dcgan=http({'model_version_status': [version]}))}")
    assert result.stdout == "dcgan version 1: AVAILABLE \\x1b[2J\\nmore\n"


def test_rest_takes_the_path_of_a_proxy():
    assert RestTransport("https://example.org/my models/", "a/b", "")._path == "/my%20models/v1/models/a%2Fb"


@pytest.fixture
def judge(cli, monkeypatch):
    """Runs the action discriminate; returns its result and the images that were asked about."""
    asked = []

    def discriminate(_, images, labels):
        asked.append(images)
        return {"logits": np.zeros(len(images)), "probability": np.full(len(images), 0.5)}

    def run(path, shape=(4, 2, 1)):
        monkeypatch.setattr(Client, "image_shape", lambda _: shape)
        result = cli("client", "--action=discriminate", f"--images={path}")
        return result, asked.pop() if asked else None

    monkeypatch.setattr(Client, "discriminate", discriminate)
    return run


def test_pictures_are_read_as_training_reads_them(judge, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = np.zeros((4, 2), np.uint8)
    upright[0, 0] = 255
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(np.full((4, 2), 257 * 40, np.uint16)).save(tmp_path / "b.png")
    Image.new("RGBA", (2, 4), (200, 0, 0, 0)).save(tmp_path / "c.PNG")
    Image.new("L", (2, 4), 7).save(tmp_path / "d.jpg", quality=100)
    (tmp_path / "notes.txt").write_text("no picture")
    result, images = judge(tmp_path)
    names = ["a.png", "b.png", "c.PNG", "d.jpg"]
    assert result.stdout.splitlines() == [
        f"{tmp_path}/{name}: real with probability 0.5000 (logit 0.000)" for name in names
    ]
    np.testing.assert_array_equal(images[0, :, :, 0], upright)
    assert images[1:].reshape(3, -1).tolist() == [[40] * 8, [255] * 8, [7] * 8]
    assert judge(tmp_path / "d.jpg", (4, 2, 3))[1].shape == (1, 4, 2, 3)


def test_pictures_that_cannot_be_read_are_one_line(judge, tmp_path):
    Image.new("L", (2, 4)).save(tmp_path / "strange.png", format="TIFF")
    bomb(tmp_path / "bomb.png")
    (tmp_path / "empty").mkdir()
    for name, expected in (
        ("strange.png", "expected a picture. Received: "),
        ("absent.png", "No such file or directory"),
        ("empty", "expected a picture or a folder of pictures"),
        ("bomb.png", "expected 2x4 pixels, the model's image size. Received: "),
    ):
        assert expected in one_line(judge(tmp_path / name)[0])
    with pytest.raises(BadPictureError):
        load_picture(tmp_path / "bomb.png", Limits())
