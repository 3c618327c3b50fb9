# ruff: noqa: E402, S102, UP031, UP036
"""Starts kitbag from a bundle, a file or a folder; old Pythons must be able to read this text.

It takes kitbag.pyz into memory and imports kitbag from there, so nothing is unpacked anywhere.
"""

import os
import sys

home = __file__[: -len("__main__.py")]
bundle = os.path.abspath(home or ".")
place = os.path.join(bundle, "kitbag.pyz")

# What else lies in a folder must not pass for a module.
here = os.path.realpath(bundle)
sys.path[:] = [path for path in sys.path if os.path.realpath(path) != here]

# Given the folder, Python compiled this file into it; a bundle holds no such thing.
cached = getattr(globals().get("__spec__"), "cached", None)
if cached:
    try:
        os.remove(cached)
        os.rmdir(os.path.dirname(cached))
    except OSError:
        pass

if sys.version_info < (3, 9):
    sys.stderr.write(
        "kitbag needs Python 3.9 or newer, and this is %d.%d: start it with a newer one.\n"
        % sys.version_info[:2]
    )
    sys.exit(5)

from struct import unpack_from

pyz = globals()["__loader__"].get_data(home + "kitbag.pyz")

# The central directory of kitbag.pyz: its members are stored, and it has no comment.
files = {}
count, _, position = unpack_from("<HLL", pyz, len(pyz) - 12)
for _ in range(count):
    size, name_size, extra_size = unpack_from("<LHH", pyz, position + 24)
    offset = unpack_from("<L", pyz, position + 42)[0]
    name = pyz[position + 46 : position + 46 + name_size].decode("ascii")
    start = offset + 30 + sum(unpack_from("<HH", pyz, offset + 26))
    files[name] = pyz[start : start + size]
    position += 46 + name_size + extra_size

source = "kitbag_bundles/memory.py"
memory = type(sys)("kitbag_bundles.memory")
exec(compile(files[source], os.path.join(place, source), "exec"), vars(memory))
memory.install(files, place)

from kitbag_installer.cli import main

sys.exit(main(bundle=bundle))
