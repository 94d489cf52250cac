import contextlib
import dataclasses
import os
import pathlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import save_config
from dcgan_tf.errors import UserError
from dcgan_tf.runs import run_directory

CONFIG = Config(image_size="28", channels="1", blocks=3, penalty="none")


@pytest.fixture
def run_dir(tmp_path):
    with run_directory.open_run(str(tmp_path / "run"), CONFIG) as run:
        run.save_config()
        return str(run.directory)


def test_new_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for expected in ("000-mnist", "001-mnist"):
        with run_directory.open_run("", CONFIG) as run:
            assert run.directory.name == expected
            run.save_config()
    with run_directory.open_run("", dataclasses.replace(CONFIG, dataset="lsun/bedroom")) as run:
        assert run.directory.name == "002-lsun-bedroom"


def test_starts_at_once_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    both_have_looked = threading.Barrier(2)

    def look_and_wait(path):
        names = list(os.scandir(path))
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_looked.wait(10)
            both_have_looked.abort()  # From then on, nobody waits.
        return [path / entry.name for entry in names]

    def make():
        with run_directory.open_run("", CONFIG) as run:
            return run.directory.name

    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(pathlib.Path, "iterdir", look_and_wait)
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(make) for _ in range(2)]
    assert {job.result() for job in made} == {"000-mnist", "001-mnist"}


def test_place_for_runs_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match=r"`run_dir`: cannot write to '.*runs'"):
        run_directory.open_run("", CONFIG).__enter__()


def test_reopened_run_keeps_its_settings(run_dir):
    assert run_directory.configure(run_dir, {}) == CONFIG
    assert run_directory.load_run(run_dir).config == CONFIG


@pytest.mark.parametrize(
    "typed", [{"image_size": "auto"}, {"channels": "auto"}, {"blocks": 0}, {"dataset": "mnist", "steps": 10_000}]
)
def test_same_command_is_accepted(run_dir, typed):
    assert run_directory.configure(run_dir, typed) == CONFIG


def test_run_of_a_release_that_left_the_blocks_open_keeps_its_two(run_dir):
    save_config(dataclasses.replace(CONFIG, blocks=0), run_directory.load_run(run_dir).directory / "config.json")
    assert run_directory.load_run(run_dir).config.blocks == 2
    assert run_directory.configure(run_dir, {}).blocks == 2


def test_run_of_a_release_that_saved_no_digest_is_resumed_and_then_has_one(run_dir):
    settled = dataclasses.replace(CONFIG, class_names=("0", "1"), data_digest="abc")
    with run_directory.open_run(run_dir, settled) as run:
        run.save_config()
    assert run_directory.load_run(run_dir).config == settled
    with pytest.raises(UserError, match="`data_digest` is 'abc' there, not 'abd'"):
        run_directory.open_run(run_dir, dataclasses.replace(settled, data_digest="abd")).__enter__()


def test_settings_are_compared_again_once_the_run_is_held(run_dir):
    with pytest.raises(UserError, match="`seed` is 0 there, not 3"):
        run_directory.open_run(run_dir, dataclasses.replace(CONFIG, seed=3)).__enter__()


def test_length_and_intervals_may_change(run_dir):
    assert run_directory.configure(run_dir, {"steps": 99_999, "log_every": 7}).steps == 99_999


def test_changed_setting_is_refused_with_the_difference(run_dir):
    with pytest.raises(UserError) as error:
        run_directory.configure(run_dir, {"beta_1": 0.9, "seed": 3})
    assert "`beta_1` is 0.5 there, not 0.9" in str(error.value)
    assert "`seed` is 0 there, not 3" in str(error.value)


def test_renamed_class_is_named_and_no_flag_is_blamed_for_it(tmp_path):
    with run_directory.open_run(str(tmp_path), dataclasses.replace(CONFIG, class_names=("cat", "dog"))) as run:
        run.save_config()
    with pytest.raises(UserError) as error:
        run_directory.open_run(str(tmp_path), dataclasses.replace(CONFIG, class_names=("cat", "hound"))).__enter__()
    assert "it has dog, the data now has hound. To resume, restore the names of the class folders" in str(error.value)
    assert "class_names" not in str(error.value)


@pytest.mark.parametrize("opening", [lambda path: run_directory.configure(path, {}), run_directory.load_run])
def test_folder_whose_name_is_not_utf_8_is_refused(tmp_path, opening):
    with pytest.raises(UserError, match=r"`run_dir`: expected a folder whose path is UTF-8"):
        opening(str(tmp_path / os.fsdecode(b"\xff")))


def test_changed_preset_is_refused(run_dir):
    with pytest.raises(UserError, match="`preset` is 'default' there, not 'dcgan'"):
        run_directory.configure(run_dir, {"preset": "dcgan"})


def test_foreign_folder_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for attempt in (
        lambda: run_directory.configure(str(tmp_path), {}),
        lambda: run_directory.open_run(str(tmp_path), CONFIG).__enter__(),
    ):
        with pytest.raises(UserError, match="contains files but no run"):
            attempt()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_empty_folder_is_used(tmp_path):
    with run_directory.open_run(str(tmp_path), CONFIG) as run:
        run.save_config()
    assert run_directory.load_run(tmp_path).config == CONFIG


def test_file_and_unwritable_place_are_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="expected a folder"):
        run_directory.configure(str(file), {})
    with pytest.raises(UserError, match="cannot write to"):
        run_directory.open_run(str(file / "run"), CONFIG).__enter__()


def test_run_in_use_is_refused(run_dir):
    with run_directory.open_run(run_dir, CONFIG), pytest.raises(UserError, match="in use by another process"):
        run_directory.open_run(run_dir, CONFIG).__enter__()
    with run_directory.open_run(run_dir, CONFIG):
        pass


def test_folder_of_a_run_killed_before_its_configuration_is_used(tmp_path):
    (tmp_path / ".lock").write_text("")
    assert run_directory.configure(str(tmp_path), {}) == make_config({})


def test_load_run_needs_a_run(tmp_path):
    with pytest.raises(UserError, match=r"expected a folder made by train\.py"):
        run_directory.load_run(tmp_path)


def test_run_on_points_resumes_by_its_data_set_or_its_preset_alone(tmp_path):
    """What the data set and the preset brought is in config.json, and is not brought again."""
    typed = {"dataset": "ring", "batch_size": 64, "preset": "wgan_gp"}
    saved = run_directory.configure(str(tmp_path), typed)
    save_config(saved, tmp_path / run_directory.CONFIG_FILE)
    for again in ({"dataset": "ring"}, {"preset": "wgan_gp"}, {"steps": 9}, typed):
        assert dataclasses.replace(run_directory.configure(str(tmp_path), again), steps=saved.steps) == saved


@pytest.mark.parametrize(
    "name", [*run_directory.FOLDERS, *(name for name in run_directory.FILES if name != run_directory.CONFIG_FILE)]
)
@pytest.mark.parametrize("found", ["the other kind", "a link to nothing"])
def test_what_is_in_the_place_of_a_part_of_the_run_is_named_and_kept(tmp_path, name, found):
    save_config(CONFIG, tmp_path / "config.json")
    path = tmp_path / name
    if found == "a link to nothing":
        path.symlink_to(tmp_path / "unmounted")
        expected = f"'{path}' is a link to '{tmp_path / 'unmounted'}', which is missing. Restore the target"
    else:
        path.write_text("mine") if name in run_directory.FOLDERS else path.mkdir()
        expected = f"'{path}' is not a {'folder' if name in run_directory.FOLDERS else 'file'}, but the run needs a"
    for attempt in (
        lambda: run_directory.load_run(tmp_path),
        lambda: run_directory.configure(str(tmp_path), {}),
        lambda: run_directory.open_run(str(tmp_path), CONFIG).__enter__(),
    ):
        with pytest.raises(UserError) as error:
            attempt()
        assert str(error.value).startswith(expected)
    assert path.is_symlink() == (found == "a link to nothing")
    assert path.is_symlink() or path.is_dir() or path.read_text() == "mine"


def test_folders_of_a_run_may_be_links(tmp_path):
    save_config(CONFIG, tmp_path / "config.json")
    (tmp_path / "disk").mkdir()
    (tmp_path / "checkpoints").symlink_to(tmp_path / "disk")
    assert run_directory.load_run(tmp_path).config == CONFIG


def test_moved_data_are_kept_and_nothing_else_is(run_dir):
    run = run_directory.load_run(run_dir, {"data_dir": "/new/data", "cache_dir": "/new/cache"})
    assert (run.config.data_dir, run.config.cache_dir, run.config.manual_dir) == ("/new/data", "/new/cache", "")
    assert run_directory.load_run(run_dir).config == CONFIG  # Not before they were found good
    # Another process extended the run meanwhile.
    save_config(dataclasses.replace(CONFIG, steps=77), run.directory / "config.json")
    run_directory.keep_folders(run)
    expected = dataclasses.replace(CONFIG, steps=77, data_dir="/new/data", cache_dir="/new/cache")
    assert run_directory.load_run(run_dir).config == expected


def test_moved_data_of_a_run_in_training_are_not_written_into_it(run_dir):
    run = run_directory.load_run(run_dir, {"data_dir": "/new"})
    with run_directory.open_run(run_dir, CONFIG):
        run_directory.keep_folders(run)
    assert run_directory.load_run(run_dir).config == CONFIG


def test_folder_without_an_effect_on_the_run_is_refused(tmp_path):
    save_config(dataclasses.replace(CONFIG, dataset="folder", data_dir="x"), tmp_path / "config.json")
    with pytest.raises(UserError, match=r"`manual_dir` .*`dataset=folder`"):
        run_directory.load_run(tmp_path, {"manual_dir": "/new"})


@pytest.mark.parametrize("use", [run_directory.load_run, lambda run_dir: run_directory.configure(run_dir, {})])
def test_address_is_not_taken_for_a_folder(tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"`run_dir`: expected a path on this machine.*Received: 's3://bucket/run'"):
        use("s3://bucket/run")
    assert not list(tmp_path.iterdir())
