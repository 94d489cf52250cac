"""The generator as one file, in each format: within a gray level of the live one, or not written at all."""

import importlib.util

import keras
import numpy as np
import pytest

from dcgan_tf.cli.export import FILE_FORMATS
from dcgan_tf.errors import UserError
from dcgan_tf.generation.sampling import decode
from dcgan_tf.serving import formats
from dcgan_tf.serving.formats import FORMATS, RUNNERS, export_generator
from tests.conftest import one_line
from tests.small_runs import STEP, make_networks


def require_packages(kind):
    for package in FORMATS[kind][1]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}, of the extra {kind}")


def test_formats_of_the_command():
    assert tuple(FORMATS) == FILE_FORMATS == tuple(RUNNERS)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "changes",
    [
        {"conditional": True, "class_names": ("a", "b"), "channels": "4"},
        {"channels": "3", "upsampling": "bilinear", "image_size": "20x28"},
        {"channels": "3", "upsampling": "nearest", "kernel_size": 3},
        {"dataset": "ring", "architecture": "mlp", "image_size": "auto", "channels": "auto"},
    ],
    ids=str,
)
def test_file_gives_the_images_of_the_live_generator(kind, changes, tmp_path):
    """For any number of rows, latents that the exporter has not checked, and every class."""
    require_packages(kind)
    networks = make_networks(**changes)
    path = export_generator(networks, tmp_path / "new" / f"my file{FORMATS[kind][0]}", kind)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    z = np.random.default_rng(5).standard_normal((7, 8)).astype(np.float32)
    labels = np.arange(7) % 2 if networks.config.conditional else None
    outputs = RUNNERS[kind](path, [z] if labels is None else [z, labels])
    live = decode(networks.generator, z, labels)
    if outputs.ndim == 4:
        outputs = np.rint((np.clip(outputs, -1, 1) + 1) * 127.5)
    np.testing.assert_allclose(outputs, live, atol=1 if outputs.ndim == 4 else 1e-4)


@pytest.fixture(scope="module")
def networks():
    return make_networks()


def test_file_that_differs_is_not_written(networks, tmp_path, monkeypatch):
    """A difference of one gray level is allowed; a larger one is not, and an earlier file stays."""
    path = tmp_path / "generator.keras"
    path.write_bytes(b"earlier")
    run = RUNNERS["keras"]
    monkeypatch.setitem(formats.RUNNERS, "keras", lambda *given: run(*given) + 0.05 * (run(*given) < 0.9))
    with pytest.raises(UserError, match=r"failed its check, so it was not published: .* by up to \d+ gray levels"):
        export_generator(networks, path, "keras")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("generator.keras", b"earlier")]


def test_missing_package_names_the_extra(networks, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for kind, package in (("onnx", "tf2onnx"), ("litert", "ai_edge_litert")):
        expected = rf"`format={kind}` needs the package {package}. Install it with: pip install 'dcgan_tf\[{kind}\]'"
        with pytest.raises(UserError, match=expected):
            export_generator(networks, tmp_path / "x", kind)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    networks = make_networks()
    bias = networks.generator.get_layer("to_image").bias
    bias.assign(bias * np.nan)
    with pytest.raises(UserError, match="are not finite"):
        export_generator(networks, tmp_path / "generator.keras", "keras")


def test_command_writes_the_file(cli, run_dir, tmp_path):
    out = tmp_path / "small.keras"
    done = cli("export", f"--run_dir={run_dir}", "--format=keras", f"--out={out}")
    assert (done.returncode, done.stdout) == (0, f"Exported step {STEP} to {out}\n"), done.stderr
    assert keras.saving.load_model(out).input_shape == (None, 8)
    for flag, expected in (
        ("--out=x.onnx", "--out: expected a file that ends in .keras. Received: 'x.onnx'"),
        ("--verify=server", "--verify has no effect with --format=keras"),
        ("--keep_versions=2", "--keep_versions has no effect with --format=keras"),
        (f"--out={run_dir / 'config.json' / 'x.keras'}", "the export cannot be written to"),
    ):
        assert expected in one_line(cli("export", f"--run_dir={run_dir}", "--format=keras", flag))
