"""Asks a TensorFlow Serving server for images: python -m export.client --seed=0 --num=16 --out=grid.png"""

import sys

from dcgan_tf.cli.main import run_command

if __name__ == "__main__":
    run_command("client", sys.argv[1:], "python -m export.client")
