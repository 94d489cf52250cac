"""The two protocols of TensorFlow Serving: REST by the standard library, gRPC by tensorflow-serving-api."""

import base64
import dataclasses
import http.client
import importlib.util
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from dcgan_tf.errors import UserError

# What each output is; "_bytes" at the end of a name makes the server's REST interface encode it in base64.
OUTPUT_TYPES: Mapping[str, type] = {
    "images": np.uint8,
    "z": np.float32,
    "image_bytes": object,
    "logits": np.float32,
    "probability": np.float32,
    "features": np.float32,
}
REST_PORT = 8501
GRPC_PORT = 8500


class Unavailable(Exception):
    """The server cannot answer now; the same request may succeed later."""


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version of a model on the server: its number, its state such as "AVAILABLE", and what went wrong."""

    version: int
    state: str
    error: str


class Transport(Protocol):
    """One way to ask the server. Every method raises `Unavailable`, or `UserError` where repeating cannot help."""

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float) -> dict[str, np.ndarray]:
        """Runs a signature. Waits no longer than ``seconds`` for a sign of the server."""

    def input_shapes(self, seconds: float) -> dict[str, dict[str, list[int]]]:
        """Signature -> input -> shape, -1 where it is free."""

    def status(self, seconds: float) -> list[VersionStatus]:
        """Versions that the server has or had, the newest first."""


class RestTransport:
    """REST, in the column format: one JSON list an input."""

    def __init__(self, host: str, model: str, version_label: str) -> None:
        address = urllib.parse.urlsplit(host if "://" in host else f"http://{host}")
        self._port = _port(address, host, default=443 if address.scheme == "https" else REST_PORT)
        if address.scheme not in ("http", "https"):
            raise UserError(f"--host: expected http:// or https:// before the name, or neither. Received: '{host}'")
        self._connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._name = address.hostname or ""
        self._host, self._model, self._version_label = host, model, version_label
        self._path = f"{address.path.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        if version_label:
            self._path += f"/labels/{urllib.parse.quote(version_label, safe='')}"

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float) -> dict[str, np.ndarray]:
        columns = {name: values.tolist() for name, values in inputs.items()}
        answer = self._ask(":predict", {"signature_name": signature, "inputs": columns}, "outputs", seconds)
        if not isinstance(answer, dict):  # The server leaves the name out where a signature has one output.
            answer = {"image_bytes" if signature == "sample_png" else "images": answer}
        return {name: _from_json(name, values) for name, values in answer.items()}

    def input_shapes(self, seconds: float) -> dict[str, dict[str, list[int]]]:
        signatures = self._ask("/metadata", None, "metadata", seconds)["signature_def"]["signature_def"]
        return {
            signature: {
                name: [int(axis["size"]) for axis in info.get("tensor_shape", {}).get("dim", [])]
                for name, info in definition.get("inputs", {}).items()
            }
            for signature, definition in signatures.items()
        }

    def status(self, seconds: float) -> list[VersionStatus]:
        versions = self._ask("", None, "model_version_status", seconds)
        return [
            VersionStatus(int(version["version"]), version["state"], version["status"].get("error_message", ""))
            for version in versions
        ]

    def _ask(self, path: str, body: Any, key: str, seconds: float) -> Any:
        connection = self._connect(self._name, self._port, timeout=seconds)
        try:
            if body is None:
                connection.request("GET", self._path + path)
            else:
                connection.request("POST", self._path + path, json.dumps(body))
            response = connection.getresponse()
            status, content = response.status, response.read()
        except socket.gaierror as error:
            raise _unknown_host(self._host, error) from None
        except ssl.SSLError as error:
            raise UserError(
                f"--host: expected TLS and a certificate that can be trusted at '{self._host}': {error}"
            ) from None
        except (http.client.BadStatusLine, http.client.IncompleteRead, OSError) as error:
            # A server that ends closes the connection; whatever else speaks no HTTP answers with a line of its own.
            if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
                raise self._stranger() from None
            raise Unavailable(str(error) or type(error).__name__) from None
        finally:
            connection.close()
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status in (429, 502, 503, 504):
            raise Unavailable(f"HTTP {status}: {answer['error'] if _is_error(answer) else response.reason}")
        if _is_error(answer):
            raise _refusal(self._host, self._model, self._version_label, status == 404, answer["error"])
        if status != 200 or not isinstance(answer, dict) or key not in answer:
            raise self._stranger(f", HTTP {status} {response.reason}")
        return answer[key]

    def _stranger(self, detail: str = "") -> UserError:
        return UserError(
            f"--host: expected the REST interface of TensorFlow Serving. Received an answer of something else from "
            f"'{self._host}'{detail}. Its gRPC port needs --grpc"
        )


class GrpcTransport:
    """gRPC, with the messages of the optional package tensorflow-serving-api, which brings TensorFlow."""

    def __init__(self, host: str, model: str, version_label: str) -> None:
        if not importlib.util.find_spec("tensorflow_serving"):
            raise UserError(
                "--grpc: expected the package tensorflow-serving-api, which is not installed. "
                "Do pip install 'tensorflow-serving-api>=2.21,<2.22', or leave --grpc out"
            )
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        address = urllib.parse.urlsplit(f"//{host}")
        port = _port(address, host, default=GRPC_PORT)
        self._name = address.hostname or ""
        # By default gRPC refuses more than 4 MiB: 340 images of 64x64 pixels in colour.
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        name = f"[{self._name}]" if ":" in self._name else self._name  # An IPv6 address.
        self._channel = grpc.insecure_channel(f"{name}:{port}", options=unlimited)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._host, self._model, self._version_label = host, model, version_label

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float) -> dict[str, np.ndarray]:
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = self._fill(PredictRequest())
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        answer = self._ask(self._prediction.Predict, request, seconds)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def input_shapes(self, seconds: float) -> dict[str, dict[str, list[int]]]:
        from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap

        request = self._fill(GetModelMetadataRequest(metadata_field=["signature_def"]))
        answer = self._ask(self._prediction.GetModelMetadata, request, seconds)
        signatures = SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return {
            signature: {name: [axis.size for axis in info.tensor_shape.dim] for name, info in definition.inputs.items()}
            for signature, definition in signatures.signature_def.items()
        }

    def status(self, seconds: float) -> list[VersionStatus]:
        from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus

        answer = self._ask(self._models.GetModelStatus, self._fill(GetModelStatusRequest()), seconds)
        return [
            VersionStatus(version.version, ModelVersionStatus.State.Name(version.state), version.status.error_message)
            for version in answer.model_version_status
        ]

    def _fill(self, request: Any) -> Any:
        request.model_spec.name = self._model
        if self._version_label:
            request.model_spec.version_label = self._version_label
        return request

    def _ask(self, call: Any, request: Any, seconds: float) -> Any:
        import grpc

        try:
            return call(request, timeout=seconds)
        except grpc.RpcError as error:
            code, message = error.code(), error.details() or ""
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                self._refuse_unknown_host()
                raise Unavailable(f"{code.name}: {message}") from None
            if code is grpc.StatusCode.UNIMPLEMENTED:
                raise UserError(
                    f"--host: expected the gRPC interface of TensorFlow Serving. Received an answer of something else "
                    f"from '{self._host}': {message}"
                ) from None
            not_found = code is grpc.StatusCode.NOT_FOUND
            raise _refusal(self._host, self._model, self._version_label, not_found, message) from None

    def _refuse_unknown_host(self) -> None:
        """gRPC says "unavailable" of a host that cannot be found, too."""
        try:
            socket.getaddrinfo(self._name, None)
        except socket.gaierror as error:
            raise _unknown_host(self._host, error) from None


def _port(address: urllib.parse.SplitResult, host: str, default: int) -> int:
    try:
        port = address.port or default
    except ValueError:
        port = 0
    if not port or not address.hostname:
        raise UserError(f"--host: expected a name or an address, and a port after a colon. Received: '{host}'")
    return port


def _from_json(name: str, values: Any) -> np.ndarray:
    if name.endswith("_bytes"):
        decoded = np.empty(len(values), object)
        decoded[:] = [base64.b64decode(value["b64"]) for value in values]
        return decoded
    return np.asarray(values, OUTPUT_TYPES.get(name))


def _is_error(answer: Any) -> bool:
    return isinstance(answer, dict) and "error" in answer


def _unknown_host(host: str, detail: object) -> UserError:
    return UserError(f"--host: expected a host that can be found. Received: '{host}' ({detail})")


def _refusal(host: str, model: str, version_label: str, not_found: bool, message: str) -> UserError:
    """The line for a request that the server refuses: which flag to mend, and the server's own words."""
    if "version label" in message:
        return UserError(
            f"--version_label: expected one of the labels in the server's models.config. Received: '{version_label}' "
            f"({message})"
        )
    if not_found:
        return UserError(f"--model: expected a model that '{host}' serves. Received: '{model}' ({message})")
    return UserError(f"the server refused the request: {' '.join(message.split())}")
