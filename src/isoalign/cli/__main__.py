"""``python -m isoalign.cli``: the same as the command ``isoalign``."""

import sys

from isoalign.cli import main

if __name__ == "__main__":
    sys.exit(main())
