"""Which interpreter makes the bytecode of a build: any whose bytecode has the same magic number.

The order is fixed, so the same bundle is made alike wherever its own builds run: the build itself,
then another build of the bundle, then an interpreter of this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.hosts import Host
    from kitbag_packer.bytecode.interpreters import Interpreter
    from kitbag_packer.materials import Material


def helpers(material: Material, others: Iterable[Material], host: Host) -> list[Material]:
    """Builds that run on ``host`` and make bytecode for ``material``, the best one first."""
    able = [each for each in others if runs_here(each, host) and makes_for(each, material)]
    own = material.inspection.key

    def rank(helper: Material) -> tuple[object, ...]:
        key = helper.inspection.key
        debug = "debug" in key.variant
        return (key != own, key.version != own.version, debug, key.target.cpu_level, key.order())

    return sorted(able, key=rank)


def runs_here(material: Material, host: Host) -> bool:
    """Whether ``host`` can run the build, as far as its key and its needs tell."""
    build = material.build
    return build.key.implementation != "pyodide" and not (
        host.unfit(build.key) or host.lacks(build)
    )


def makes_for(helper: Material, material: Material) -> bool:
    """Whether the two builds read each other's bytecode.

    Releases of one minor version of CPython share a magic number, prereleases may not; PyPy and
    GraalPy promise it for the same release only.
    """
    one, other = helper.inspection.key, material.inspection.key
    if (one.implementation, one.free_threaded) != (other.implementation, other.free_threaded):
        return False
    if one.implementation == "cpython" and is_release(one) and is_release(other):
        return one.version.minor_text == other.version.minor_text
    released = helper.inspection.release, material.inspection.release
    return one.version == other.version and (
        one.implementation == "cpython" or released[0] == released[1]
    )


def fits(found: Interpreter, key: BuildKey, release: str, magic: int | None) -> bool:
    """Whether ``found``, of this machine, makes bytecode for ``key`` of ``release``.

    ``magic`` is the number that the build's own files tell, if they do.
    """
    if found.implementation != key.implementation:
        return False
    if key.implementation != "cpython":
        return (found.version, found.release) == (str(key.version), release)
    if magic is not None:
        return found.magic == magic
    same_minor = found.version.startswith(f"{key.version.minor_text}.")
    release_alike = is_release(key) and found.version.rpartition(".")[2].isdecimal()
    return found.version == str(key.version) or (same_minor and release_alike)


def is_release(key: BuildKey) -> bool:
    """Whether the version is no prerelease."""
    return not key.version.prerelease


def remedy(key: BuildKey, release: str, host: Host) -> str:
    """What would let ``key`` be compiled, as a clause."""
    base = {"cpython": "python"}.get(key.implementation, key.implementation)
    here = f"{host.os}-{host.arch}-{host.libc}"
    if key.implementation != "cpython":
        return f"pack the same release ({release}) for {here} too"
    which = str(key.version) if key.version.prerelease else key.version.minor_text
    flags = "t" if key.free_threaded else ""
    return f"pack {which}{flags} for {here} too, or put {base}{key.version.minor_text} on PATH"
