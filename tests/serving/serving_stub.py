"""A stand-in for TensorFlow Serving, for tests only: its protocols and its errors over the C++ session of a SavedModel.

Speaks PredictionService (Predict, GetModelMetadata) and ModelService (GetModelStatus) over gRPC, and the REST API of
prediction, metadata and status. Status codes and messages are those of tensorflow_model_server 2.21.
"""

import base64
import json
import pathlib
import re
import threading
from collections.abc import Mapping
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from dcgan_tf.serving.c_api import Session, SessionError
from dcgan_tf.serving.saved_model import read_signatures

HTTP_STATUS = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503}
PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict|/metadata|)")
Tensors = Mapping[str, np.ndarray]


class Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Model:
    """One loaded version."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.session = Session(directory, read_signatures(directory))
        definitions = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
        self.signatures = dict(definitions.meta_graphs[0].signature_def)

    def run(self, signature: str, inputs: Tensors) -> dict[str, np.ndarray]:
        expected = self.signatures[signature].inputs.keys()
        if len(inputs) != len(expected):
            extra, missing = ({*inputs} - {*expected}), ({*expected} - {*inputs})
            raise Refused(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(inputs)}!={len(expected)} "
                f"len({{{','.join(sorted(inputs))}}}) != len({{{','.join(sorted(expected))}}}). "
                f"Sent extra: {{{','.join(sorted(extra))}}}. Missing but required: {{{','.join(sorted(missing))}}}.",
            )
        try:
            return self.session.run(signature, inputs)
        except SessionError as error:
            raise Refused("INVALID_ARGUMENT", str(error)) from None


class Server:
    """Serves several versions of one model on the loopback interface until it is closed.

    Args:
        name: The model's name.
        versions: Version number -> folder.
        labels: Label -> version number.
        rest_port: The port of the REST API; 0 for a free one.

    Attributes:
        unavailable: How many of the next requests are answered with "unavailable".
        requests: How many requests were received.
    """

    def __init__(
        self, name: str, versions: Mapping[int, pathlib.Path], labels: Mapping[str, int], rest_port: int = 0
    ) -> None:
        self.models = {number: Model(path) for number, path in versions.items()}
        self.name, self.labels = name, labels
        self.unavailable = self.requests = 0
        self._rest = ThreadingHTTPServer(("127.0.0.1", rest_port), type("Handler", (RestHandler,), {"server_": self}))
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(8),
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(self), self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self), self._grpc)
        self.rest = f"127.0.0.1:{self._rest.server_port}"
        self.grpc = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()
        threading.Thread(target=self._rest.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._rest.shutdown()
        self._rest.server_close()
        self._grpc.stop(None)
        for model in self.models.values():
            model.session.close()

    def version(self, name: str, version: int | None, label: str | None, status: bool = False) -> int | None:
        """The version that a request refers to; None for all versions, if it asks only for their status."""
        self.requests += 1
        if self.unavailable:
            self.unavailable -= 1
            raise Refused("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")
        if label and label not in self.labels:
            raise Refused("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        version = self.labels[label] if label else version
        if name != self.name and status:
            raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
        if version is not None and version not in self.models and status:
            raise Refused("NOT_FOUND", f"Could not find version {version} of model {name}")
        if name != self.name or (version or max(self.models)) not in self.models:
            request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {request}")
        return version if status or version else max(self.models)

    def status(self, version: int | None) -> get_model_status_pb2.GetModelStatusResponse:
        response = get_model_status_pb2.GetModelStatusResponse()
        for number in sorted(self.models, reverse=True) if version is None else [version]:
            response.model_version_status.add(version=number, state="AVAILABLE").status.error_code = 0
        return response

    def metadata(self, version: int) -> get_model_metadata_pb2.GetModelMetadataResponse:
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = version
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=self.models[version].signatures)
        response.metadata["signature_def"].Pack(signatures)
        return response


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def Predict(self, request, context):
        def answer():
            version = _grpc_version(self._server, request)
            signature = request.model_spec.signature_name or "serving_default"
            model = self._server.models[version]
            if signature not in model.signatures:
                raise Refused("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            for name, values in model.run(signature, inputs).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
            response.model_spec.version.value = version
            return response

        return _answer(answer, context)

    def GetModelMetadata(self, request, context):
        return _answer(lambda: self._server.metadata(_grpc_version(self._server, request)), context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def GetModelStatus(self, request, context):
        return _answer(lambda: self._server.status(_grpc_version(self._server, request, status=True)), context)


class RestHandler(BaseHTTPRequestHandler):
    server_: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self, body: bytes) -> None:
        try:
            status, answer = 200, self._answer(body)
        except Refused as error:
            status, answer = HTTP_STATUS[error.code], {"error": str(error)}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, body: bytes) -> dict[str, Any]:
        match = PATH.fullmatch(self.path)
        if not match or (self.command == "POST") != (match[4] == ":predict"):
            raise Refused("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
        name, version, label, what = match.groups()
        number = self.server_.version(name, int(version) if version else None, label, status=not what)
        if what == ":predict":
            return predict(self.server_.models[number], body)
        if what == "/metadata":
            response = json_format.MessageToDict(self.server_.metadata(number), preserving_proto_field_name=True)
            return {"model_spec": response["model_spec"], "metadata": response["metadata"]}
        message = self.server_.status(number)
        return json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )


def predict(model: Model, body: bytes) -> dict[str, Any]:
    """Answers a request to REST's predict method, in the row or the column format."""
    try:
        request = json.loads(body)
    except ValueError:
        raise Refused("INVALID_ARGUMENT", "JSON Parse error: Invalid value. at offset: 0") from None
    if not isinstance(request, dict):
        raise Refused("INVALID_ARGUMENT", f"JSON Value: {request} Is not object")
    signature = request.get("signature_name", "serving_default")
    if signature not in model.signatures:
        raise Refused("INVALID_ARGUMENT", f'Serving signature name: "{signature}" not found in signature def')
    types = {name: info.dtype for name, info in model.signatures[signature].inputs.items()}
    if ("instances" in request) == ("inputs" in request):
        problem = "expecting only one of" if "inputs" in request else "Missing"
        raise Refused("INVALID_ARGUMENT", f"{problem} 'inputs' or 'instances' key")
    if "instances" in request:
        outputs = model.run(signature, _from_rows(request["instances"], types))
        rows = zip(*(_to_json(name, values) for name, values in outputs.items()), strict=True)
        return {"predictions": [row[0] if len(outputs) == 1 else dict(zip(outputs, row, strict=True)) for row in rows]}
    outputs = model.run(signature, _from_columns(request["inputs"], types))
    columns = {name: _to_json(name, values) for name, values in outputs.items()}
    return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}


def _from_rows(rows: Any, types: Mapping[str, int]) -> Tensors:
    if not isinstance(rows, list) or not rows:
        raise Refused("INVALID_ARGUMENT", f"JSON Value: {rows} No values in 'instances' array")
    if not isinstance(rows[0], dict):
        if len(types) > 1:
            raise Refused("INVALID_ARGUMENT", "instances is a plain list, but expecting list of objects")
        rows = [{next(iter(types)): row} for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != types.keys():
            raise Refused(
                "INVALID_ARGUMENT",
                f"Failed to process element: {number} of 'instances' list. JSON object: {row} keys must be equal to: "
                f"{','.join(sorted(types))}",
            )
    return {name: _to_array([row[name] for row in rows], number) for name, number in types.items()}


def _from_columns(columns: Any, types: Mapping[str, int]) -> Tensors:
    if not isinstance(columns, dict):
        if len(types) > 1:
            raise Refused("INVALID_ARGUMENT", "inputs is a plain value/list, but expecting an object")
        columns = {next(iter(types)): columns}
    for name in types:  # Like the server: a missing input is an error, an extra one is ignored.
        if name not in columns:
            raise Refused("INVALID_ARGUMENT", f"Missing named input: {name} in 'inputs' object.")
    return {name: _to_array(columns[name], number) for name, number in types.items()}


def _to_array(value: Any, type_number: int) -> np.ndarray:
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    kind = tf.as_dtype(type_number)
    flat: list[Any] = []
    _flatten(value, shape, 0, (int, float) if kind.is_floating else int, kind.name, flat)
    return np.array(flat, np.float64 if kind.is_floating else np.int64).reshape(shape).astype(kind.as_numpy_dtype)


def _flatten(value: Any, shape: list[int], level: int, types: Any, kind: str, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise Refused(
                "INVALID_ARGUMENT",
                f"JSON Value: {value} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}",
            )
        if not isinstance(value, types) or isinstance(value, bool):
            raise Refused("INVALID_ARGUMENT", f"JSON Value: {json.dumps(value)} is not of expected type: {kind}")
        flat.append(value)
        return
    if level >= len(shape):
        raise Refused("INVALID_ARGUMENT", f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise Refused(
            "INVALID_ARGUMENT",
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}",
        )
    for item in value:
        _flatten(item, shape, level + 1, types, kind, flat)


def _to_json(name: str, values: np.ndarray) -> list[Any]:
    if values.dtype != object:
        return values.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    return [value.decode() for value in values]


def _grpc_version(server: Server, request: Any, status: bool = False) -> Any:
    spec = request.model_spec
    version = spec.version.value if spec.HasField("version") else None
    return server.version(spec.name, version, spec.version_label, status)


def _answer(function: Any, context: Any) -> Any:
    try:
        return function()
    except Refused as error:
        return context.abort(grpc.StatusCode[error.code], str(error))
