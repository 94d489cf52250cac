"""The command line: python -m dcgan_tf COMMAND"""

from dcgan_tf.cli.main import main

if __name__ == "__main__":
    main()
