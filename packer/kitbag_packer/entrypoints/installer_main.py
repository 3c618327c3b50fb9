# ruff: noqa: UP031, UP036
"""Starts kitbag from kitbag.pyz; old Pythons must be able to read this file."""

import sys

if sys.version_info < (3, 9):
    sys.stderr.write(
        "kitbag needs Python 3.9 or newer, and this is %d.%d: start it with a newer one.\n"
        % sys.version_info[:2]
    )
    sys.exit(5)

from kitbag_installer.cli import main

sys.exit(main())
