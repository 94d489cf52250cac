"""Exports a run as a SavedModel: python -m export.saved_model --run_dir=runs/000-mnist"""

if __name__ == "__main__":
    import sys

    import dcgan_tf.cli.interrupt  # noqa: F401  Before the slow imports
    from dcgan_tf.cli.main import run_command

    run_command("export", sys.argv[1:], "python -m export.saved_model")
