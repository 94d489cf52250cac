"""A run's folder with nothing in it yet."""

import os

import pytest

from dcgan_tf.runs.run_directory import Run


@pytest.fixture
def run(small_config, tmp_path):
    return Run(tmp_path, small_config(data_dir=os.fsdecode(b"/ph\xfftos")))  # A path need not be text.
