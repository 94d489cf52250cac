"""The file of named vectors, which several commands can change at once."""

import threading

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.generation.vectors import Vector, changing_vectors, load_vectors


def test_commands_that_change_the_file_at_once_wait_for_each_other(tmp_path):
    path = tmp_path / "vectors.json"
    inside, go_on = threading.Semaphore(0), threading.Event()

    def add(name):
        with changing_vectors(path, "digest", 2) as vectors:
            inside.release()
            go_on.wait()
            vectors.add(name, Vector(np.zeros(2, np.float32), "test"))

    threads = [threading.Thread(target=add, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    try:
        assert inside.acquire(timeout=60)
        assert not inside.acquire(timeout=0.3), "two commands change the file at once"
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    assert sorted(load_vectors(path, "digest", 2).vectors) == ["a", "b", "c"]
    assert sorted(each.name for each in tmp_path.iterdir()) == [".vectors.json.lock", "vectors.json"]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "vectors.json"
    with changing_vectors(path, "digest", 2) as vectors:
        vectors.add("a", Vector(np.zeros(2, np.float32), "test"))
    before = path.read_bytes()
    with pytest.raises(UserError), changing_vectors(path, "digest", 2) as vectors:
        vectors.add("b c", vectors.vectors.pop("a"))
    assert path.read_bytes() == before
