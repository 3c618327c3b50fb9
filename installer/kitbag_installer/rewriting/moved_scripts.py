"""Scripts that were made for a build after its install, when the build has moved since.

Packages that a person installs bring console scripts whose first lines name the interpreter by
its path then. Unlike the build's own scripts they have no pristine original, so only what is
understood for certain is changed: a header that leads into the old home.
"""

from __future__ import annotations

from kitbag_installer.rewriting.scripts import script_header

_SHELL = "#!/bin/sh"
_EXEC = "'''exec' "


def relocate_script(content: bytes, old_home: str, home: str) -> bytes:
    """``content`` with a header for ``home``, if it has one for ``old_home``; else as it is."""
    text = content.decode("utf-8", "surrogateescape")
    first, _, rest = text.partition("\n")
    interpreter, arguments = "", ""
    if first.startswith(f"#!{old_home}/"):
        interpreter, _, arguments = first[2:].partition(" ")
    elif first == _SHELL and rest.startswith(_EXEC):
        line, _, rest = rest.partition("\n")
        closing, _, rest = rest.partition("\n")
        if closing == "' '''":
            interpreter = _first_word(line[len(_EXEC) :])
    if not interpreter.startswith(f"{old_home}/"):
        return content
    moved = home + interpreter[len(old_home) :]
    return (script_header(moved, arguments) + rest).encode("utf-8", "surrogateescape")


def _first_word(line: str) -> str:
    import shlex

    try:
        return (shlex.split(line) or [""])[0]
    except ValueError:
        return ""
