import json
import shutil

import pytest

from dcgan_tf import load_generator
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import open_saved_model, versions_in

METADATA = {"step": 7, "config": {"image_size": "28", "channels": "1"}}


def make_version(directory, metadata):
    """Writes a version whose model is an empty file."""
    (directory / "assets.extra").mkdir(parents=True)
    (directory / "saved_model.pb").write_bytes(b"")
    (directory / "assets.extra" / "model.json").write_text(
        metadata if isinstance(metadata, str) else json.dumps(metadata)
    )
    return directory


def test_newest_version_is_the_largest_number_with_a_model(tmp_path):
    for name in ("2", "10", "009"):
        make_version(tmp_path / name, METADATA)
    for name in ("11", "²", "12x", ".writing-13", "9" * 19):
        (tmp_path / name).mkdir()
    (tmp_path / "14").write_text("a file")
    assert [path.name for path in versions_in(tmp_path)] == ["2", "009", "10", "11"]
    assert open_saved_model(tmp_path).directory == tmp_path / "10"


@pytest.mark.parametrize(("size", "blocks", "expected"), [("28", None, 2), ("28", 0, 2), ("28", 3, 3), ("64", None, 4)])
def test_export_of_a_release_that_left_the_blocks_open_has_as_many_as_it_built(tmp_path, size, blocks, expected):
    config = {"image_size": size, "channels": "1"} | ({} if blocks is None else {"blocks": blocks})
    assert open_saved_model(make_version(tmp_path / "1", {"step": 7, "config": config})).config.blocks == expected


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "{",
        "null",
        "[" * 99_999,
        "[]",
        {},
        {**METADATA, "step": None},
        {**METADATA, "step": "7"},
        {**METADATA, "step": True},
        {**METADATA, "step": 7.5},
        {"step": 7},
        {"step": 7, "config": []},
        {"step": 7, "config": {"image_size": 28}},
        {"step": 7, "config": {"image_size": "28", "latent_dim": -3}},
        {"step": 7, "config": {"image_size": "28", "class_names": "ab"}},
        {"step": 7, "config": {"image_size": "28", "color": "red"}},
    ],
    ids=lambda metadata: str(metadata)[:40],
)
def test_damaged_metadata_are_named(tmp_path, metadata):
    version = make_version(tmp_path / "3", metadata)
    with pytest.raises(UserError) as error:
        open_saved_model(tmp_path)
    message = str(error.value)
    assert message.startswith(f"`saved_model`: expected an export of this project. Received: '{version}'")
    assert str(version / "assets.extra" / "model.json") in message
    assert message.endswith("Name another version, or export the run again")
    assert "\n" not in message


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
@pytest.mark.parametrize("how", ["empty", "cut off", "changed", "missing"])
def test_damaged_export_is_named(points_run_dir, tmp_path, file, how):
    version = shutil.copytree(points_run_dir / "saved_model" / "1", tmp_path / "1")
    content = (version / file).read_bytes()
    (version / file).unlink()
    if how != "missing":
        half = len(content) // 2
        changed = {
            "empty": b"",
            "cut off": content[:half],
            "changed": content[: half - 20] + b"#" * 40 + content[half + 20 :],
        }
        (version / file).write_bytes(changed[how])
    with pytest.raises(UserError) as error:
        load_generator(version)
    assert f"'{version}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_export_of_other_networks_than_its_metadata_say_is_named(points_run_dir, tmp_path):
    version = shutil.copytree(points_run_dir / "saved_model" / "1", tmp_path / "1")
    file = version / "assets.extra" / "model.json"
    file.write_text(file.read_text().replace('"latent_dim": 8', '"latent_dim": 9'))
    with pytest.raises(UserError, match=f"'{version}' cannot be loaded"):
        load_generator(version)


def test_export_below_any_name_is_loaded(points_run_dir, tmp_path):
    version = shutil.copytree(points_run_dir / "saved_model" / "1", tmp_path / "[2024] fa*ces? back\\slash" / "1")
    loaded = load_generator(version.parent)
    assert loaded.digest == load_generator(points_run_dir).digest
    run_dir = shutil.copytree(points_run_dir, tmp_path / "[run]*?\\")
    assert load_generator(run_dir).digest == loaded.digest
