"""What keeps a GPU from failing a run: settings of TensorFlow, and what is computed on the CPU on purpose."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from dcgan_tf.distributed import strategies
from dcgan_tf.errors import UserError
from dcgan_tf.serving import saved_model
from dcgan_tf.serving.signatures import Signature


@pytest.mark.parametrize(("given", "expected"), [(None, "true"), ("false", "false")])
def test_memory_of_the_gpu_grows_unless_the_user_says_otherwise(given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "TF_FORCE_GPU_ALLOW_GROWTH"}
    if given is not None:
        environment["TF_FORCE_GPU_ALLOW_GROWTH"] = given
    program = "import os, dcgan_tf; print(os.environ['TF_FORCE_GPU_ALLOW_GROWTH'])"
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.stdout.strip() == expected, result.stderr


def test_export_is_checked_on_the_cpu_by_both_processes(monkeypatch, tmp_path):
    seen = {}

    def double(x):
        seen["device"] = context.context().device_name
        return {"y": 2 * x}

    def run(command, env, **options):
        seen["visible"] = env["CUDA_VISIBLE_DEVICES"]
        seen["expected"] = np.load(command[4])["twice/outputs/y"]
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(saved_model, "read_signatures", lambda _: {})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    inputs = (tf.TensorSpec([None], tf.float32, name="x"),)
    signature = Signature("twice", double, inputs, lambda rows: {"x": np.arange(rows, dtype=np.float32)})
    saved_model._verify([signature], tmp_path, "load")
    assert seen["visible"] == "-1"
    assert seen["device"].endswith("CPU:0")
    assert seen["expected"].tolist() == [0, 2, 4, 6, 8]


def test_two_workers_on_one_gpu_are_told_to_take_one_each(small_config, monkeypatch):
    def refuse(_):
        raise tf.errors.InternalError(None, None, "NCCL operation ncclCommInitRank failed: invalid usage")

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", refuse)
    monkeypatch.setattr(context.context(), "configure_coordination_service", lambda **_: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = small_config(strategy="multi_worker", workers=f"127.0.0.1:{port}", worker_index=0)
    with pytest.raises(UserError, match="Each worker needs a GPU of its own"), strategies.join(config):
        pass
