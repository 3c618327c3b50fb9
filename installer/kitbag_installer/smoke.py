"""The smoke test: a freshly made tree is worth nothing until its interpreter has run once."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import DoesNotFit, SmokeTestFailed
from kitbag_bundles.implementations import implementation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey

TIMEOUT = 60.0
_PROGRAM = """
import sys
def quoted(text):
    units = []
    for code in map(ord, text):
        units += [code] if code < 65536 else [0xD7C0 + (code >> 10), 0xDC00 + (code & 1023)]
    return '"' + "".join(["\\\\u%04x" % unit for unit in units]) + '"'
version = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info[3] != "final":
    version += {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]]
    version += str(sys.version_info[4])
yes = {True: "true", False: "false"}
abi = getattr(sys, "abiflags", "")
print('{"version": %s, "implementation": %s, "prefix": %s, "free_threaded": %s, "debug": %s}' % (
    quoted(version), quoted(sys.implementation.name), quoted(sys.prefix),
    yes["t" in abi or "free-threading" in sys.version], yes[hasattr(sys, "gettotalrefcount")]))
"""


class Ran(NamedTuple):
    """What came of an interpreter; ``status`` is ``None`` if its time was up."""

    status: int | None
    out: str
    err: str


def _run(command: Sequence[str], environ: Mapping[str, str]) -> Ran:
    import subprocess

    try:
        done = subprocess.run(  # the interpreter that was just installed
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(None, "", "")
    out, err = (each.decode("utf-8", "replace") for each in (done.stdout, done.stderr))
    return Ran(done.returncode, out, err)


def smoke_test(
    key: BuildKey,
    tree: str,
    run: Callable[[Sequence[str], Mapping[str, str]], Ran] = _run,
    limit: float | None = None,
) -> None:
    """Start the interpreter in ``tree`` once and hold what it says against ``key``.

    ``run`` runs a command in an environment, for at most ``limit`` seconds, :data:`TIMEOUT` by
    default; it may raise :class:`OSError`.

    It runs isolated, without ``site`` and without writing bytecode, so it leaves nothing behind.
    What needs a program that is not here is not tested: the preflight has told of that. Raises
    :class:`SmokeTestFailed`, or :class:`DoesNotFit` where nothing may be executed.
    """
    import json

    adapter = implementation_of(key)
    program = os.path.join(tree, adapter.executable(key))
    if adapter.program is not None:
        from kitbag_installer.preflight.programs import lacking

        if lacking(adapter.program):
            return
        if os.path.exists(f"{program}.bat") and os.name == "nt":
            program += ".bat"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    try:
        done = run([program, "-I", "-S", "-B", "-c", _PROGRAM], environment)
    except OSError as error:
        raise _not_started(key, tree, error) from None
    if done.status is None:
        seconds = TIMEOUT if limit is None else limit
        raise SmokeTestFailed(f"{key}: did not answer within {seconds:g} seconds")
    if done.status:
        said = done.err.strip().splitlines()
        # An interpreter that does not get far tells of threads and frames after the reason.
        last = [line for line in said if line.startswith("Fatal Python error")] or said[-1:]
        how = f"signal {-done.status}" if done.status < 0 else f"status {done.status}"
        raise SmokeTestFailed(
            f"{key}: does not run on this host ({how}"
            + (f": {last[0]}" if last else "")
            + "); choose a build for this machine"
        )
    try:
        answer = json.loads(done.out)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SmokeTestFailed(f"{key}: answered {done.out[:200].encode()!r} to the smoke test")
    _compare(key, tree, answer)


def _compare(key: BuildKey, tree: str, answer: dict[str, object]) -> None:
    adapter = implementation_of(key)
    expected: dict[str, object] = {
        "version": str(key.version),
        "implementation": adapter.reports,
    }
    if not adapter.exact_version:
        expected["version"] = key.version.minor_text
        answer["version"] = ".".join(str(answer.get("version")).split(".")[:2])
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
    if adapter.has_prefix and os.path.realpath(prefix) != os.path.realpath(tree):
        raise SmokeTestFailed(f"{key}: the interpreter takes {prefix!r} for its prefix")


def _not_started(key: BuildKey, tree: str, error: OSError) -> SmokeTestFailed | DoesNotFit:
    flags = os.statvfs(tree).f_flag if hasattr(os, "statvfs") else 0
    if error.errno == errno.EACCES and flags & getattr(os, "ST_NOEXEC", 8):
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
