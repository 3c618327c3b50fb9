"""Wheels and environments of a bundle: what the manifest says of them, and how it is read.

A wheel is PyPA's binary distribution format
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/), carried byte
for byte. An environment is a name, the build that it belongs to, and the wheels that are in it;
the same name stands once for each build that it was packed for. Wheels are shared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import BundleError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.members import WHEELS
from kitbag_bundles.names import check_member_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kitbag_bundles.tables import Table

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_FILENAME = re.compile(
    r"[A-Za-z0-9._]+-[A-Za-z0-9._!+]+(-[0-9][A-Za-z0-9._]*)?(-[A-Za-z0-9._]+){3}\.whl"
)
_TARGET = re.compile(r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+")


@dataclass(frozen=True)
class Wheel:
    """One wheel of the bundle."""

    filename: str
    """Its name, which tells project, version and tags."""
    name: str
    """The project's normalised name (PEP 503)."""
    version: str
    """As its own metadata has it."""
    size: int
    """Bytes of the file."""
    sha256: str
    """SHA-256 of the file in hex."""
    url: str
    """The address that the lock gave, without credentials; empty for what had none."""
    built: bool
    """Whether it was built from source when packing."""
    unpacked_size: int
    """Bytes of all files in it."""
    files: int
    """How many files are in it, directories not counted."""
    longest_path: int
    """Bytes of the longest path in it, as the archive has it."""
    direct_url: str = ""
    """What ``direct_url.json`` of an environment says, without credentials; empty for a wheel of
    an index."""

    @property
    def member(self) -> str:
        """The name of the member that it is."""
        return WHEELS + self.filename


@dataclass(frozen=True)
class Environment:
    """One environment for one build."""

    name: str
    """``app``: lower-case letters, digits, ``.``, ``_`` and ``-``; never a request for builds."""
    target: str
    """What it is for, ``linux-x86_64-gnu``."""
    python: BuildKey | None
    """The build that it belongs to; ``None`` in a wheelhouse, which belongs to none."""
    python_version: str
    """The version that wheels were chosen for, ``3.13.5``, or ``3.13`` in a wheelhouse."""
    wheels: tuple[str, ...]
    """File names of the wheels in it, in bytewise order."""
    expose: tuple[str, ...] = ()
    """Console scripts that get a name in the bin directory, sorted."""
    run: str = ""
    """The program that ``kitbag run`` starts; empty where there is no such one."""
    glibc: str = ""
    """The least glibc that its wheels need, ``2.28``; empty for none."""
    os: str = ""
    """The least macOS that its wheels need, ``11.0``; empty for none."""

    def order(self) -> tuple[object, ...]:
        """A sort key: names, then builds."""
        return (self.name, self.python.order() if self.python else (), self.target)


def is_environment_name(name: str) -> bool:
    """Whether an environment may be called so: also a folder's name, and no request for builds."""
    from kitbag_bundles.errors import UsageError
    from kitbag_bundles.names import check_member_name
    from kitbag_bundles.requests import Request

    if not _NAME.fullmatch(name):
        return False
    try:
        check_member_name(name)
        Request.parse(name)
    except BundleError:
        return False
    except UsageError:
        return True
    return False


def is_program_name(name: str) -> bool:
    """Whether a console script may be called so where it gets a name in a bin directory."""
    return bool(_PROGRAM.fullmatch(name)) and len(name) <= 100


def environments_table(
    wheels: Sequence[Wheel], environments: Sequence[Environment]
) -> dict[str, Any]:
    """``{"wheel": …, "environment": …}``; nothing at all where there are none."""
    table: dict[str, Any] = {}
    if wheels:
        table["wheel"] = [_wheel_table(each) for each in wheels]
    if environments:
        table["environment"] = [_environment_table(each) for each in environments]
    return table


def _wheel_table(wheel: Wheel) -> dict[str, Any]:
    return {
        "filename": wheel.filename,
        "name": wheel.name,
        "version": wheel.version,
        "size": wheel.size,
        "sha256": wheel.sha256,
        "url": wheel.url,
        **({"built": True} if wheel.built else {}),
        "unpacked-size": wheel.unpacked_size,
        "files": wheel.files,
        "longest-path": wheel.longest_path,
        **({"direct-url": wheel.direct_url} if wheel.direct_url else {}),
    }


def _environment_table(environment: Environment) -> dict[str, Any]:
    return {
        "name": environment.name,
        "target": environment.target,
        **({"python": str(environment.python)} if environment.python else {}),
        "python-version": environment.python_version,
        "wheels": list(environment.wheels),
        "expose": list(environment.expose),
        "run": environment.run,
        "glibc": environment.glibc,
        "os": environment.os,
    }


def parse_wheels(tables: Iterable[Table]) -> tuple[Wheel, ...]:
    """Read ``[[wheel]]``; raises :class:`BundleError`."""
    wheels = tuple(_parse_wheel(each) for each in tables)
    names = [wheel.filename for wheel in wheels]
    if names != sorted(set(names)):
        raise BundleError("the manifest has its wheels twice or in the wrong order")
    return wheels


def parse_environments(
    tables: Iterable[Table], wheels: Sequence[Wheel], builds: Iterable[BuildKey]
) -> tuple[Environment, ...]:
    """Read ``[[environment]]``; raises :class:`BundleError` also for what is not in the bundle."""
    known = {wheel.filename for wheel in wheels}
    keys = set(builds)
    environments = tuple(_parse_environment(each, known, keys) for each in tables)
    orders = [(each.name, str(each.python or each.target)) for each in environments]
    if len(set(orders)) != len(orders) or sorted(environments, key=Environment.order) != list(
        environments
    ):
        raise BundleError("the manifest has its environments twice or in the wrong order")
    used = {name for each in environments for name in each.wheels}
    for name in sorted(known - used):
        raise BundleError(f"the manifest has a wheel that no environment uses: {name}")
    return environments


def _parse_wheel(table: Table) -> Wheel:
    filename = table.text("filename")
    if not _FILENAME.fullmatch(filename):
        raise BundleError(f"{table.where}: {filename!r} is no name of a wheel")
    table.where = f"{table.where} {filename}"
    wheel = Wheel(
        filename=filename,
        name=table.text("name", empty=False),
        version=table.text("version", empty=False),
        size=table.number("size"),
        sha256=table.digest("sha256"),
        url=table.text("url"),
        built=bool(table.optional_flag("built")),
        unpacked_size=table.number("unpacked-size"),
        files=table.number("files"),
        longest_path=table.number("longest-path"),
        direct_url=table.text("direct-url") if "direct-url" in table.values else "",
    )
    check_member_name(wheel.member)
    if wheel.direct_url and not _is_direct_url(wheel.direct_url):
        raise BundleError(f"{table.where} has a 'direct-url' that is no such thing")
    return wheel


def _is_direct_url(text: str) -> bool:
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("url"), str)


def _parse_environment(table: Table, wheels: set[str], builds: set[BuildKey]) -> Environment:
    name = table.text("name")
    if not is_environment_name(name):
        raise BundleError(f"{table.where}: {name!r} is no name for an environment")
    table.where = f"{table.where} {name}"
    python = None
    if "python" in table.values:
        python = BuildKey.try_parse(table.text("python"))
        if python is None or python not in builds:
            raise BundleError(f"{table.where} belongs to a build that is not in the bundle")
    environment = Environment(
        name=name,
        target=table.text("target"),
        python=python,
        python_version=table.text("python-version", empty=False),
        wheels=table.texts("wheels"),
        expose=table.texts("expose"),
        run=table.text("run"),
        glibc=table.text("glibc"),
        os=table.text("os"),
    )
    _check(environment, table.where, wheels)
    return environment


def _check(environment: Environment, where: str, wheels: set[str]) -> None:
    target = environment.target
    if not _TARGET.fullmatch(target) or (
        environment.python is not None and str(environment.python.target) != target
    ):
        raise BundleError(f"{where} has a target that is not its build's")
    if list(environment.wheels) != sorted(set(environment.wheels)):
        raise BundleError(f"{where} has its wheels twice or in the wrong order")
    for missing in sorted(set(environment.wheels) - wheels):
        raise BundleError(f"{where} has a wheel that is not in the bundle: {missing}")
    for program in (*environment.expose, *([environment.run] if environment.run else [])):
        if not is_program_name(program):
            raise BundleError(f"{where}: {program!r} is no name of a program")
    if list(environment.expose) != sorted(set(environment.expose)):
        raise BundleError(f"{where} has what it exposes twice or in the wrong order")
    for version in (environment.glibc, environment.os):
        if version and not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}", version):
            raise BundleError(f"{where} needs {version!r}, which is no version")
