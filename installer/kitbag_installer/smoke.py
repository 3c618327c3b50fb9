"""The smoke test: a freshly made tree is worth nothing until its interpreter has run once."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DoesNotFit, SmokeTestFailed
from kitbag_bundles.layout import executable

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey

TIMEOUT = 60.0
_PROGRAM = """
import sys
try:
    from _json import encode_basestring_ascii as quoted
except ImportError:
    from json.encoder import py_encode_basestring_ascii as quoted
version = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info[3] != "final":
    version += {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]]
    version += str(sys.version_info[4])
yes = {True: "true", False: "false"}
abi = getattr(sys, "abiflags", "")
print('{"version": %s, "implementation": %s, "prefix": %s, "free_threaded": %s, "debug": %s}' % (
    quoted(version), quoted(sys.implementation.name), quoted(sys.prefix),
    yes["t" in abi], yes[hasattr(sys, "gettotalrefcount")]))
"""


def smoke_test(key: BuildKey, tree: str) -> None:
    """Start the interpreter in ``tree`` once and hold what it says against ``key``.

    It runs isolated, without ``site`` and without writing bytecode, so it leaves nothing behind.
    Raises :class:`SmokeTestFailed`, or :class:`DoesNotFit` where nothing may be executed.
    """
    import json
    import subprocess

    program = os.path.join(tree, executable(key))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    try:
        done = subprocess.run(  # the interpreter that was just installed
            [program, "-I", "-S", "-B", "-c", _PROGRAM],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise _not_started(key, tree, error) from None
    except subprocess.TimeoutExpired:
        raise SmokeTestFailed(f"{key}: did not answer within {TIMEOUT:.0f} seconds") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise SmokeTestFailed(
            f"{key}: does not run on this host ({how}"
            + (f": {last[0]}" if last else "")
            + "); choose a build for this machine"
        )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SmokeTestFailed(f"{key}: answered {done.stdout[:200]!r} to the smoke test")
    _compare(key, tree, answer)


def _compare(key: BuildKey, tree: str, answer: dict[str, object]) -> None:
    expected: dict[str, object] = {
        "version": str(key.version),
        "implementation": key.implementation,
    }
    if key.implementation == "cpython":
        expected["free_threaded"] = key.free_threaded
        expected["debug"] = key.variant.endswith("debug")
    for name, value in expected.items():
        if answer.get(name) != value:
            what = name.replace("_", "-")
            raise SmokeTestFailed(
                f"{key}: the interpreter says {what} {answer.get(name)!r} and not {value!r}; "
                "the bundle was packed with a wrong key"
            )
    prefix = str(answer.get("prefix"))
    if os.path.realpath(prefix) != os.path.realpath(tree):
        raise SmokeTestFailed(f"{key}: the interpreter takes {prefix!r} for its prefix")


def _not_started(key: BuildKey, tree: str, error: OSError) -> SmokeTestFailed | DoesNotFit:
    if error.errno == errno.EACCES and os.statvfs(tree).f_flag & getattr(os, "ST_NOEXEC", 8):
        return DoesNotFit(
            f"{os.path.dirname(os.path.dirname(tree))}: programs may not run there, "
            "the file system is mounted noexec; choose another root with --root"
        )
    if error.errno == errno.ENOENT:
        return SmokeTestFailed(
            f"{key}: the system's loader for this build is missing; choose a build for this libc"
        )
    if error.errno == errno.ENOEXEC:
        return DoesNotFit(
            f"{key}: its interpreter is a program for another kind of machine; "
            "choose a build for this one"
        )
    return SmokeTestFailed(f"{key}: can't be started ({error.strerror})")
