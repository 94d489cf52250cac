"""The two protocols of TensorFlow Serving: REST with the standard library, gRPC with tensorflow-serving-api."""

import contextlib
import functools
import http.client
import importlib.util
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any, Protocol, TypeVar

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.serving.answers import (
    MAX_BYTES,
    Shapes,
    Signature,
    VersionStatus,
    check_outputs,
    check_shapes,
    from_json,
    in_short,
    understood,
)

REST_PORT = 8501
GRPC_PORT = 8500
READ_BYTES = 2**16

Result = TypeVar("Result")


class Unavailable(Exception):
    """The server cannot answer now; the same request may succeed later."""


class Transport(Protocol):
    """A protocol to ask the server.

    Every method takes at most ``seconds``. It raises `Unavailable`, or `UserError` if a retry cannot help.
    """

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Shapes, seconds: float
    ) -> dict[str, np.ndarray]:
        """Runs a signature. Its outputs must have the given names and shapes, and the types of ``OUTPUT_TYPES``."""

    def signatures(self, seconds: float) -> dict[str, Signature]:
        """The signatures of the model, by name."""

    def status(self, seconds: float) -> list[VersionStatus]:
        """The versions that the server has or had, newest first."""


class RestTransport:
    """REST in the column format, with one JSON list per input."""

    def __init__(self, host: str, model: str, version_label: str) -> None:
        scheme = host.split("://")[0].lower() if "://" in host else "http"
        if scheme not in ("http", "https"):
            raise UserError(f"`host`: expected http:// or https:// before the name, or neither. Received: '{host}'")
        self._name, self._port, path = _split_address(
            host, host if "://" in host else f"http://{host}", default=443 if scheme == "https" else REST_PORT
        )
        self._connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        self._host, self._model, self._version_label = host, model, version_label
        prefix = urllib.parse.quote(path.rstrip("/"), safe="/%")
        self._path = f"{prefix}/v1/models/{urllib.parse.quote(model, safe='')}"
        if version_label:
            self._path += f"/labels/{urllib.parse.quote(version_label, safe='')}"

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Shapes, seconds: float
    ) -> dict[str, np.ndarray]:
        columns = {name: values.tolist() for name, values in inputs.items()}
        answer = self._ask(":predict", {"signature_name": signature, "inputs": columns}, "outputs", seconds)
        with understood(self._stranger):
            if len(outputs) == 1 and not isinstance(answer, dict):  # The server omits the name of a single output.
                answer = dict.fromkeys(outputs, answer)
            return check_outputs({name: from_json(name, values) for name, values in answer.items()}, outputs)

    def signatures(self, seconds: float) -> dict[str, Signature]:
        answer = self._ask("/metadata", None, "metadata", seconds)
        with understood(self._stranger):
            return {
                name: Signature(*(_shapes(definition.get(side, {})) for side in ("inputs", "outputs")))
                for name, definition in answer["signature_def"]["signature_def"].items()
            }

    def status(self, seconds: float) -> list[VersionStatus]:
        answer = self._ask("", None, "model_version_status", seconds)
        with understood(self._stranger):
            return [
                VersionStatus(int(each["version"]), str(each["state"]), str(each["status"].get("error_message", "")))
                for each in answer
            ]

    def _ask(self, path: str, body: Any, key: str, seconds: float) -> Any:
        try:
            connection = self._connect(self._name, self._port, timeout=seconds)
            exchange = functools.partial(self._exchange, connection, path, body, time.monotonic() + seconds)
            try:
                status, reason, content = _within(seconds, exchange)
            except TimeoutError:
                with contextlib.suppress(OSError, AttributeError):  # Not connected, or just closed.
                    connection.sock.shutdown(socket.SHUT_RDWR)  # This also ends the thread.
                raise
        except (socket.gaierror, UnicodeError, http.client.InvalidURL) as error:
            raise _unknown_host(self._host, error) from None
        except ssl.SSLError as error:
            raise UserError(f"`host`: expected TLS with a trusted certificate at '{self._host}': {error}") from None
        except (http.client.IncompleteRead, OSError) as error:  # A server that shuts down closes the connection.
            raise Unavailable(str(error) or type(error).__name__) from None
        except (http.client.HTTPException, ValueError) as error:
            raise self._stranger(in_short(error)) from None
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        message = in_short(answer["error"]) if isinstance(answer, dict) and "error" in answer else ""
        if status in (429, 502, 503, 504):
            raise Unavailable(f"HTTP {status}: {message or reason}")
        if message:
            raise _refusal(self._host, self._model, self._version_label, status == 404, message)
        if status != 200 or not isinstance(answer, dict) or key not in answer:
            raise self._stranger(f"HTTP {status} {reason}")
        return answer[key]

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, body: Any, end: float
    ) -> tuple[int, str, bytes]:
        with contextlib.closing(connection):
            if body is None:
                connection.request("GET", self._path + path)
            else:
                connection.request("POST", self._path + path, json.dumps(body))
            response = connection.getresponse()
            content = bytearray()
            while part := response.read1(READ_BYTES):
                content += part
                if len(content) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES:,} bytes")
                if time.monotonic() > end:  # The caller no longer waits.
                    raise TimeoutError("timed out")
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return response.status, response.reason, bytes(content)

    def _stranger(self, detail: str) -> UserError:
        return UserError(
            f"`host`: expected the REST interface of TensorFlow Serving. Received an answer of another kind from "
            f"'{self._host}': {detail}. For its gRPC port, use `grpc`"
        )


class GrpcTransport:
    """gRPC, with the messages of the optional package tensorflow-serving-api, which requires TensorFlow."""

    def __init__(self, host: str, model: str, version_label: str) -> None:
        if not importlib.util.find_spec("tensorflow_serving"):
            raise UserError(
                "`grpc`: expected the package tensorflow-serving-api, which is not installed. "
                "Run pip install 'tensorflow-serving-api>=2.21,<2.22', or leave out `grpc`"
            )
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self._name, port, _ = _split_address(host, f"//{host}", default=GRPC_PORT)
        # By default gRPC refuses more than 4 MiB: 340 images of 64x64 pixels in color.
        limits = [(f"grpc.max_{way}_message_length", MAX_BYTES) for way in ("receive", "send")]
        name = f"[{self._name}]" if ":" in self._name else self._name  # An IPv6 address.
        self._channel = grpc.insecure_channel(f"{name}:{port}", options=limits)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._host, self._model, self._version_label = host, model, version_label

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Shapes, seconds: float
    ) -> dict[str, np.ndarray]:
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = self._fill(PredictRequest())
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        answer = self._ask(self._prediction.Predict, request, seconds)
        with understood(self._stranger):
            # Checked before decoding: a few bytes can declare a shape that would exhaust the memory.
            check_shapes({name: _dimensions(tensor.tensor_shape) for name, tensor in answer.outputs.items()}, outputs)
            return check_outputs({name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}, outputs)

    def signatures(self, seconds: float) -> dict[str, Signature]:
        from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap

        request = self._fill(GetModelMetadataRequest(metadata_field=["signature_def"]))
        answer = self._ask(self._prediction.GetModelMetadata, request, seconds)
        definitions = SignatureDefMap()
        with understood(self._stranger):
            answer.metadata["signature_def"].Unpack(definitions)
        return {
            name: Signature(
                *(
                    {key: _dimensions(info.tensor_shape) for key, info in side.items()}
                    for side in (definition.inputs, definition.outputs)
                )
            )
            for name, definition in definitions.signature_def.items()
        }

    def status(self, seconds: float) -> list[VersionStatus]:
        from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus

        answer = self._ask(self._models.GetModelStatus, self._fill(GetModelStatusRequest()), seconds)
        with understood(self._stranger):
            return [
                VersionStatus(each.version, ModelVersionStatus.State.Name(each.state), each.status.error_message)
                for each in answer.model_version_status
            ]

    def _fill(self, request: Any) -> Any:
        request.model_spec.name = self._model
        if self._version_label:
            request.model_spec.version_label = self._version_label
        return request

    def _ask(self, call: Any, request: Any, seconds: float) -> Any:
        import grpc

        end = time.monotonic() + seconds
        try:
            return call(request, timeout=seconds)
        except grpc.RpcError as error:
            code, message = error.code(), in_short(error.details() or "")
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                self._refuse_unknown_host(end - time.monotonic())
                raise Unavailable(f"{code.name}: {message}") from None
            if code is grpc.StatusCode.UNIMPLEMENTED:
                raise self._stranger(message) from None
            not_found = code is grpc.StatusCode.NOT_FOUND
            raise _refusal(self._host, self._model, self._version_label, not_found, message) from None

    def _stranger(self, detail: str) -> UserError:
        return UserError(
            f"`host`: expected the gRPC interface of TensorFlow Serving. Received an answer of another kind "
            f"from '{self._host}': {detail}"
        )

    def _refuse_unknown_host(self, seconds: float) -> None:
        """Raises UserError if the host cannot be found, for which gRPC also reports "unavailable"."""
        try:
            _within(max(0, seconds), functools.partial(socket.getaddrinfo, self._name, None))
        except (socket.gaierror, UnicodeError) as error:
            raise _unknown_host(self._host, error) from None
        except TimeoutError:
            return


def _split_address(host: str, url: str, default: int) -> tuple[str, int, str]:
    """The name, port and path of ``url``, which is ``host`` completed to a URL."""
    try:
        address = urllib.parse.urlsplit(url)
        name, port = address.hostname, address.port or default
    except ValueError:
        name = None
    if not name:
        raise UserError(f"`host`: expected a name or an address, with or without :port. Received: '{host}'")
    return name, port, address.path


def _within(seconds: float, work: Callable[[], Result]) -> Result:
    """Runs ``work`` in a thread with a time limit. A socket's timeout limits only single reads, and DNS has none.

    Raises:
        TimeoutError: The work did not end in time.
    """
    future: futures.Future[Result] = futures.Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except futures.TimeoutError:
        raise TimeoutError("timed out") from None


def _shapes(tensors: Mapping[str, Any]) -> Shapes:
    """The shapes in the JSON of the server's metadata."""
    return {
        name: tuple(int(axis["size"]) for axis in info.get("tensor_shape", {}).get("dim", []))
        for name, info in tensors.items()
    }


def _dimensions(shape: Any) -> tuple[int, ...]:
    return tuple(axis.size for axis in shape.dim)


def _unknown_host(host: str, detail: object) -> UserError:
    return UserError(f"`host`: expected a host that can be found. Received: '{host}' ({detail})")


def _refusal(host: str, model: str, version_label: str, not_found: bool, message: str) -> UserError:
    """The error for a request that the server refuses: the setting to fix, and the server's own message."""
    if "version label" in message:
        return UserError(
            f"`version_label`: expected one of the labels in the server's models.config. Received: '{version_label}' "
            f"({message})"
        )
    if not_found:
        return UserError(f"`model`: expected a model that '{host}' serves. Received: '{model}' ({message})")
    return UserError(f"the server refused the request: {message}")
