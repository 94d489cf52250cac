import os
import pathlib

import pytest

from dcgan_tf import paths
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import cache_root
from dcgan_tf.data.sources import find_source
from dcgan_tf.errors import UserError


@pytest.fixture
def homeless(monkeypatch):
    """A user without a name or a home folder, as in some containers."""

    def unknown(_):
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("~/x", "/home/me/x"), ("~", "/home/me"), ("a/~b", "a/~b"), ("gs://bucket/x", "gs://bucket/x"), ("", "")],
)
def test_home_folder_takes_the_place_of_a_leading_tilde(monkeypatch, path, expected):
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.expand(path) == expected


def test_unknown_user_is_refused():
    with pytest.raises(ValueError, match="no home folder is known for '~nobody-at-all'"):
        paths.expand("~nobody-at-all/x")


def test_default_folders_need_a_home_folder(monkeypatch, homeless, tmp_path):
    with pytest.raises(UserError, match=r"`cache_dir`: its default is ~/.cache, .* Set HOME, or give `cache_dir`"):
        cache_root(Config())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="`data_dir`: its default is ~/tensorflow_datasets"):
        find_source(Config(dataset="fashion_mnist"))
    assert not os.listdir(tmp_path), "a folder called ~"
    assert cache_root(Config(cache_dir="/somewhere")) == pathlib.Path("/somewhere")


def test_folder_that_tensorflow_cannot_name_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"r\xffn")
    with pytest.raises(UserError, match=r"`out`: expected a folder whose path is UTF-8.*r\\udcffn'$"):
        paths.refuse_undecodable(folder, "out")
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match="UTF-8"):
        paths.refuse_undecodable(pathlib.Path("run"), "run_dir")
    paths.refuse_undecodable(tmp_path / "rün", "run_dir")
