"""Exports a run as a SavedModel: python -m export.saved_model --run_dir=runs/000-mnist"""

import sys

from dcgan_tf.cli.main import run_command

if __name__ == "__main__":
    run_command("export", sys.argv[1:], "python -m export.saved_model")
