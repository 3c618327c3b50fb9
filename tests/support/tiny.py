"""A build of some twenty files whose interpreter is a shell script.

It hits every rule of installing (generated files, scripts, RECORD, both kinds of links, an empty
file) and answers a start-up check like a Python, so it suits tests that repeat an install hundreds
of times, such as a kill after every system call.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from .generated import generated_files, small_pip
from .members import Member, below, link, program, text, write_archive

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = ("right", "crash", "hang", "silent", "garbage", "wrong-version", "wrong-prefix")

# Follows links to itself, as CPython's start does, but leaves the folders' own links alone.
_INTERPRETER = r"""#!/bin/sh
# Stand-in for an interpreter: answers a start-up check with one line of JSON.
case "$1" in
-V | --version)
    echo "Python @version@"
    exit 0
    ;;
esac
self=$0
case "$self" in
/*) ;;
*/*) self=$PWD/$self ;;
*) self=$(command -v -- "$self") ;;
esac
while [ -L "$self" ]; do
    target=$(readlink -- "$self")
    case "$target" in
    /*) self=$target ;;
    *) self=${self%/*}/$target ;;
    esac
done
prefix=$(cd -- "${self%/*}/.." && pwd)
prefix=$(printf '%s\n' "$prefix" | sed 's/[\\"]/\\&/g')
@before@
printf '{"version": "%s", "implementation": "cpython", "prefix": "%s", ' "@said@" "$prefix"
printf '"free_threaded": %s, "debug": %s}\n' "@free@" "@debug@"
"""

_BEFORE = {
    "crash": "kill -SEGV $$",
    "hang": "exec sleep 3600",
    "silent": "exit 0",
    "garbage": "echo 'not the expected line'; exit 0",
    "wrong-prefix": "prefix=/usr",
}


def host_target() -> str:
    """Return upstream's name of this machine: `x86_64-unknown-linux-gnu`."""
    libc = "gnu" if platform.libc_ver()[0] == "glibc" else "musl"
    return f"{platform.machine()}-unknown-linux-{libc}"


def interpreter_script(
    version: str, answer: str = "right", *, free_threaded: bool = False, debug: bool = False
) -> bytes:
    """Return the stand-in interpreter; `answer` (one of `ANSWERS`) chooses a misbehaviour."""
    if answer not in ANSWERS:
        raise ValueError(f"no such answer: {answer}")
    script = _INTERPRETER
    for name, value in {
        "version": version,
        "said": "3.0.0" if answer == "wrong-version" else version,
        "before": _BEFORE.get(answer, ":"),
        "free": "true" if free_threaded else "false",
        "debug": "true" if debug else "false",
    }.items():
        script = script.replace(f"@{name}@", value)
    return script.encode()


def tiny_members(
    version: str = "3.13.5",
    *,
    answer: str = "right",
    free_threaded: bool = False,
    debug: bool = False,
    multiarch: str = "x86_64-linux-gnu",
) -> list[Member]:
    """Return the members of the tiny build, without the top folder `python`."""
    minor = ".".join(version.split(".")[:2])
    abi = f"{'t' if free_threaded else ''}{'d' if debug else ''}"
    name = f"python{minor}{abi}"
    library = f"lib/{name.rstrip('d')}"
    script = interpreter_script(version, answer, free_threaded=free_threaded, debug=debug)
    return [
        program(f"bin/{name}", script),
        link("bin/python", name),
        link("bin/python3", name),
        *([link(f"bin/python{minor}", name)] if name != f"python{minor}" else []),
        *generated_files(version, multiarch, abi),
        *small_pip(version, name),
        Member(f"{library}/lib-dynload/.empty"),
        text(f"{library}/os.py", '"""Stand-in for the landmark of the standard library."""\n'),
        text(f"{library}/LICENSE.txt", "Stand-in for the licence.\n"),
        text(f"include/{name}/pyconfig.h", "#define Py_ENABLE_SHARED 1\n"),
        text("share/terminfo/P/P4", "upper\n"),
        text("share/terminfo/p/p4", "lower\n"),
        # Upstream has no hard links; a reader has to understand them all the same.
        Member("share/terminfo/p/p4-alias", kind="h", target="share/terminfo/p/p4"),
    ]


def tiny_name(
    version: str = "3.13.5",
    target: str = "",
    release: str = "20260101",
    *,
    free_threaded: bool = False,
    debug: bool = False,
    compression: str = ".tar.gz",
) -> str:
    """Return upstream's file name of a build with these properties."""
    options = ["freethreaded"] if free_threaded else []
    rest = "-".join([*options, "install_only_stripped"])
    if debug:
        rest = "+".join([*options, "debug"]) + "-full"
    return f"cpython-{version}+{release}-{target or host_target()}-{rest}{compression}"


def make_tiny_archive(
    folder: Path,
    version: str = "3.13.5",
    target: str = "",
    *,
    release: str = "20260101",
    answer: str = "right",
    free_threaded: bool = False,
    debug: bool = False,
    compression: str = ".tar.gz",
) -> Path:
    """Write the tiny build into `folder`, for this machine unless `target` names another triple.

    A debug build comes as a full archive (below `install`, without PYTHON.json), upstream's only
    form of it.
    """
    target = target or host_target()
    cpu, _, _, libc = target.split("-")
    members = tiny_members(
        version,
        answer=answer,
        free_threaded=free_threaded,
        debug=debug,
        multiarch=f"{cpu}-linux-{libc}",
    )
    name = tiny_name(
        version,
        target,
        release,
        free_threaded=free_threaded,
        debug=debug,
        compression=compression,
    )
    folder.mkdir(parents=True, exist_ok=True)
    top = "python/install" if debug else "python"
    return write_archive(below(top, members), folder / name, compression)
