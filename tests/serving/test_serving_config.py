"""The files of export/serving: what a server would read in them, and what compose.yaml promises."""

import pathlib
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from dcgan_tf.serving.saved_model import ROOT, WARM_UP_ROWS
from dcgan_tf.serving.signatures import MAX_ROWS

SERVING = ROOT / "export" / "serving"
INTEGER, TRUTH, TEXT = (f".google.protobuf.{name}" for name in ("Int64Value", "BoolValue", "StringValue"))

# tensorflow-serving-api ships the schema of models.config, but not those of the other two. These are the parts of
# tensorflow_serving/servables/tensorflow/session_bundle_config.proto and tensorflow_serving/config/
# monitoring_config.proto that the files may use.
SCHEMAS = {
    "BatchingParameters": {
        "max_batch_size": INTEGER,
        "batch_timeout_micros": INTEGER,
        "max_enqueued_batches": INTEGER,
        "num_batch_threads": INTEGER,
        "thread_pool_name": TEXT,
        "allowed_batch_sizes": "repeated int64",
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": TRUTH,
        "max_execution_batch_size": INTEGER,
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": ".serving_test.PrometheusConfig"},
}


@pytest.fixture(scope="module")
def messages():
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="serving_test.proto", package="serving_test", syntax="proto3", dependency=["wrappers.proto"]
    )
    for name, fields in SCHEMAS.items():
        message = file.message_type.add(name=name)
        for number, (field_name, kind) in enumerate(fields.items(), start=1):
            field = message.field.add(name=field_name, number=number, label=field_type.LABEL_OPTIONAL)
            if kind.startswith("repeated "):
                field.label = field_type.LABEL_REPEATED
            if kind.startswith("."):
                field.type, field.type_name = field_type.TYPE_MESSAGE, kind
            else:
                field.type = getattr(field_type, f"TYPE_{kind.split()[-1].upper()}")
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    wrappers.name = "wrappers.proto"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(wrappers)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"serving_test.{name}")) for name in SCHEMAS
    }


@pytest.fixture(scope="module")
def compose():
    """The file as Compose reads it if only SAVED_MODEL is set."""
    text = (SERVING / "compose.yaml").read_text()

    def value_of(match):
        name, default = match.groups()
        return {"SAVED_MODEL": "/runs/x/saved_model"}.get(name) or default.removeprefix("-")

    return yaml.safe_load(re.sub(r"\$\{(\w+):([^}]*)\}", value_of, text))


def test_models_config():
    config = text_format.Parse((SERVING / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("dcgan", "/models/dcgan", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 2
    assert dict(model.version_labels) == {"stable": 1, "canary": 1}  # The only version after a first export.


def test_batching_config_agrees_with_warm_up_and_model(messages):
    config = text_format.Parse((SERVING / "batching.config").read_text(), messages["BatchingParameters"]())
    assert tuple(config.allowed_batch_sizes) == WARM_UP_ROWS
    # The server's own rule: the last one equals the largest batch that is run.
    assert config.enable_large_batch_splitting.value
    assert config.max_execution_batch_size.value == WARM_UP_ROWS[-1]
    assert config.max_batch_size.value == MAX_ROWS
    # The queue has room for the largest request; otherwise it could never be accepted.
    assert config.max_enqueued_batches.value * WARM_UP_ROWS[-1] >= MAX_ROWS
    assert 0 < config.batch_timeout_micros.value <= 10_000


def test_monitoring_config(messages):
    config = text_format.Parse((SERVING / "monitoring.config").read_text(), messages["MonitoringConfig"]())
    assert config.prometheus_config.enable
    assert config.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_a_misspelt_setting_would_be_found(messages):
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batchsize { value: 64 }", messages["BatchingParameters"]())
    with pytest.raises(text_format.ParseError):
        text_format.Parse("enable_large_batch_splitting: true", messages["BatchingParameters"]())


def test_compose_keeps_its_promises(compose):
    (server,) = compose["services"].values()
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", server["image"])
    assert server["ports"] == ["127.0.0.1:8501:8501", "127.0.0.1:8500:8500"]
    assert server["user"] == "65534:65534"
    assert server["read_only"]
    assert server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert {volume["target"]: volume["source"] for volume in server["volumes"]} == {
        "/models/dcgan": "/runs/x/saved_model",
        "/config": ".",
    }
    assert all(volume["read_only"] for volume in server["volumes"])
    assert "privileged" not in server
    assert "network_mode" not in server


def test_compose_names_files_that_exist(compose):
    flags = dict(flag.removeprefix("--").split("=") for flag in compose["services"]["server"]["command"])
    assert (flags["port"], flags["rest_api_port"]) == ("8500", "8501")
    for name in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        path = pathlib.PurePosixPath(flags[name])
        assert path.parent == pathlib.PurePosixPath("/config")
        assert (SERVING / path.name).is_file()
    assert flags["allow_version_labels_for_unavailable_models"] == "true"


@pytest.mark.parametrize(
    ("body", "healthy"),
    [('{"state": "AVAILABLE"}', True), ('{"state": "LOADING"}', False), (None, False)],
)
def test_health_check(compose, body, healthy):
    """The command of compose.yaml itself, against a server in each state."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/v1/models/dcgan" else 404)
            self.end_headers()
            self.wfile.write(body.encode() if self.path == "/v1/models/dcgan" else b"")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_port
    if body is None:
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    kind, *command = compose["services"]["server"]["healthcheck"]["test"]
    assert kind == "CMD"
    command[-1] = command[-1].replace("/8501", f"/{port}")
    assert (subprocess.run(command, capture_output=True, timeout=10).returncode == 0) == healthy
    if body is not None:
        server.shutdown()
        server.server_close()
