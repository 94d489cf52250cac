"""What is said of the device, and of TensorFlow's errors about it, as machines with a GPU would show them."""

import pytest
import tensorflow as tf

from dcgan_tf.config.storage import save_config
from dcgan_tf.errors import UserError
from dcgan_tf.runs.run_directory import configure
from dcgan_tf.training import devices


@pytest.fixture
def gpu(monkeypatch):
    """Lets TensorFlow report a GPU: `gpu(compute_capability=(7, 5))`."""

    def report(**details):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [tf.config.PhysicalDevice("/gpu:0", "GPU")])
        known = {"device_name": "NVIDIA H100", "compute_capability": (9, 0)} | details
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: known)

    return report


@pytest.mark.parametrize(
    ("visible", "has_device_file", "expected"),
    [
        (None, False, "no GPU found; run with TF_CPP_MIN_LOG_LEVEL=0"),
        (None, True, 'TensorFlow cannot use the NVIDIA GPU of this machine: pip install ".[gpu]"'),
        ("-1", True, "CUDA_VISIBLE_DEVICES hides any GPU"),
        ("", True, "CUDA_VISIBLE_DEVICES hides any GPU"),
        ("0", True, "TensorFlow cannot use the NVIDIA GPU"),
    ],
)
def test_why_a_cpu_trains(small_config, monkeypatch, tmp_path, visible, has_device_file, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    monkeypatch.setattr(devices, "NVIDIA_DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if has_device_file:
        (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidiactl").touch()
    text = devices.describe_device(small_config())
    assert " CPU core" in text
    assert expected in text


def test_gpu_is_named_with_what_it_leaves_to_the_cpu(small_config, gpu):
    gpu()
    assert devices.describe_device(small_config(mixed_precision=True)) == "NVIDIA H100"
    assert "`upsampling=bicubic` resizes on the CPU" in devices.describe_device(small_config(upsampling="bicubic"))


def test_gpu_without_bfloat16_is_refused(small_config, gpu):
    gpu(device_name="Tesla T4", compute_capability=(7, 5))
    assert devices.describe_device(small_config()) == "Tesla T4"
    with pytest.raises(UserError, match="`mixed_precision=True`: Tesla T4 has no bfloat16 arithmetic"):
        devices.describe_device(small_config(mixed_precision=True))


@pytest.mark.parametrize(
    ("processor", "one_dnn", "settings", "expected"),
    [
        ("flags : fpu avx512f avx512_bf16 sse", None, {}, True),
        ("flags : fpu amx_bf16 amx_tile", "1", {}, True),
        ("flags : fpu avx512f avx512bw", None, {}, False),
        ("flags : fpu avx512_bf16", "0", {}, False),
        (None, None, {}, False),
        ("flags : avx512_bf16", None, {"unroll_steps": 1}, False),
        ("flags : avx512_bf16", None, {"architecture": "mlp"}, False),
        ("flags : avx512_bf16", None, {"penalty": "wgan_gp"}, False),
        ("flags : avx512_bf16", None, {"penalty": "r1"}, True),
        ("flags : avx512_bf16", None, {"mixed_precision": False}, False),
        ("flags : fpu", None, {"mixed_precision": True}, True),
    ],
)
def test_precision_follows_the_processor(small_config, monkeypatch, tmp_path, processor, one_dnn, settings, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if one_dnn is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", one_dnn)
    if processor is not None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{processor}\n")
    config = devices.settle_precision(small_config(**{"mixed_precision": "auto", **settings}))
    assert config.mixed_precision is expected
    assert (" in bfloat16" in devices.describe_device(config)) == expected


def test_precision_on_a_gpu_stays_float32(small_config, gpu, monkeypatch, tmp_path):
    gpu()
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16")
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    assert devices.settle_precision(small_config(mixed_precision="auto")).mixed_precision is False


@pytest.mark.parametrize("chosen", [True, False])
def test_precision_is_kept_in_the_run(small_config, tmp_path, chosen):
    save_config(small_config(mixed_precision=chosen), tmp_path / "config.json")
    (tmp_path / "checkpoints").mkdir()
    for typed in ({"steps": 14}, {"steps": 14, "mixed_precision": "auto"}):
        assert configure(str(tmp_path), typed).mixed_precision is chosen
    with pytest.raises(UserError, match=f"`mixed_precision` is {chosen} there"):
        configure(str(tmp_path), {"mixed_precision": not chosen})


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (tf.errors.ResourceExhaustedError, "failed to allocate memory", "out of memory at `batch_size=16`"),
        (tf.errors.InternalError, "RESOURCE_EXHAUSTED: Out of memory while trying to allocate", "half the batch"),
        (
            tf.errors.UnimplementedError,
            "A deterministic GPU implementation of ResizeNearestNeighborGrad is not currently available.",
            "no reproducible implementation",
        ),
        (tf.errors.InternalError, "libdevice not found at ./libdevice.10.bc", "XLA does not find CUDA's compiler"),
        (tf.errors.UnimplementedError, "No PTX compilation provider is available.", "`jit_compile=True`"),
        (tf.errors.FailedPreconditionError, "DNN library initialization failed.", "does not start on the GPU"),
        (tf.errors.UnimplementedError, "No DNN in stream executor.", "nvidia-smi shows it"),
        (tf.errors.InternalError, "Failed to create cuBlas instance.", "cuDNN or cuBLAS"),
        (tf.errors.InternalError, "CUDA error: no kernel image is available for execution", "update the driver"),
    ],
)
def test_errors_of_the_device_say_what_to_do(small_config, kind, message, expected):
    text = devices.explain(kind(None, None, f"{message}\n\t [[node x]]"), small_config())
    assert expected in text
    assert message in text
    assert "\n" not in text


def test_other_errors_are_left_alone(small_config):
    assert devices.explain(tf.errors.InvalidArgumentError(None, None, "Incompatible shapes"), small_config()) is None


def test_scalars_are_read_as_they_are():
    values = {"b": tf.constant(0.1), "a": tf.constant(float("nan")), "c": tf.constant(1e-45)}
    read = devices.read_scalars(values)
    assert list(read) == ["b", "a", "c"]
    assert read["b"] == float(values["b"])
    assert read["a"] != read["a"]
    assert read["c"] == float(values["c"]) > 0
