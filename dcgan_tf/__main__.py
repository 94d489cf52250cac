"""The command line: python -m dcgan_tf COMMAND, or the script dcgan COMMAND."""

import dcgan_tf.cli.interrupt  # noqa: F401  Imported before the slow modules

# isort: split
from dcgan_tf.cli.main import main

if __name__ == "__main__":
    main()
