"""Asks a TensorFlow Serving server for images: python -m export.client --seed=0 --num=16 --out=grid.png"""

if __name__ == "__main__":
    import sys

    import dcgan_tf.cli.interrupt  # noqa: F401  Before the slow imports
    from dcgan_tf.cli.main import run_command

    run_command("client", sys.argv[1:], "python -m export.client")
