"""Archives of builds whose program hands over to a real Python: quick to pack, and they compile."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

from kitbag_bundles import layout
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.inspection import inspect_archive
from kitbag_packer.materials import Material
from support.bundled import host_key
from support.members import Member, below, program, text, write_archive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = platform.python_version()
KEY = host_key(VERSION)
"""This machine's build of the Python that runs the tests."""
MINOR = KEY.version.minor_text
FILES = {
    "abc.py": "def one():\n    return {'a', 'b'} & {'c'}\n",
    "os.py": "sep = '/'\n",
    "email/__init__.py": "",
    "_sysconfigdata__linux_x86_64-linux-gnu.py": "build_time_vars = {'prefix': '/install'}\n",
    "lib2to3/tests/data/bom.py": "print 'Python 2'\n",
    "site-packages/pip/__init__.py": "__version__ = '1'\n",
    "site-packages/pip/notes.txt": "no source\n",
}
COMPILED = ("abc", "email/__init__", "os", "site-packages/pip/__init__")
"""What becomes of :data:`FILES`."""


def foreign(target: str, version: str = VERSION, implementation: str = "cpython") -> BuildKey:
    """A key for another machine."""
    return BuildKey.parse(f"{implementation}-{version}-{target}")


def compilable(
    folder: Path,
    key: BuildKey = KEY,
    files: Mapping[str, str] = FILES,
    *,
    interpreter: str = sys.executable,
    extra: tuple[Member, ...] = (),
) -> Material:
    """A build of ``key`` with these ``files`` in its standard library.

    Its program hands over to ``interpreter``, or does nothing at all if that is empty.
    """
    library = layout.standard_library(key)
    script = f'#!/bin/sh\nexec "{interpreter}" "$@"\n' if interpreter else "#!/bin/sh\nexit 1\n"
    members = [
        program(layout.executable(key), script.encode()),
        *(text(f"{library}/{name}", content) for name, content in files.items()),
        *extra,
    ]
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{key}.tar.gz".replace("+", "-")
    path = write_archive(below("python", members), folder / name, ".tar.gz")
    found = inspect_archive(path, key=key, reporter=SilentReporter())
    return Material(name, path, name, found)
