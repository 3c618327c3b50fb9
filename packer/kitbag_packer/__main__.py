"""``python -m kitbag_packer``, the same as ``kitbag``."""

import sys

from kitbag_packer.cli import main

if __name__ == "__main__":
    sys.exit(main())
