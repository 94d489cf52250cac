"""Trains a DCGAN: python train.py --dataset=mnist"""

import sys

from dcgan_tf.cli.main import run_command

if __name__ == "__main__":
    run_command("train", sys.argv[1:], "python train.py")
