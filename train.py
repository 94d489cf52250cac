"""Trains a DCGAN: python train.py --dataset=mnist"""

if __name__ == "__main__":
    import sys

    import dcgan_tf.cli.interrupt  # noqa: F401  Before the slow imports
    from dcgan_tf.cli.main import run_command

    run_command("train", sys.argv[1:], "python train.py")
