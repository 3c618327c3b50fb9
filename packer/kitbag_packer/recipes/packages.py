"""What a lock says of an environment: every package in it, and what that was chosen by."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kitbag_bundles.environments import is_environment_name
from kitbag_bundles.keys import BuildKey
from kitbag_packer.cache.records import is_filename
from kitbag_packer.environments.model import DIRECTORY, KINDS, SDIST, VCS, WHEEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.keys import Target
    from kitbag_packer.recipes.tables import Table

_FILES = (WHEEL, SDIST)


@dataclass(frozen=True)
class PackagePin:
    """One package of an environment: a file, or the source that a wheel is built from."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    """Empty where only building tells."""
    kind: str
    """``wheel``, ``sdist``, ``directory`` or ``vcs``."""
    filename: str = ""
    """Of a file."""
    url: str = ""
    """The public address of a file; empty where it has none."""
    path: str = ""
    """Of a directory or a local file: relative to the folder of the list of packages, with slashes;
    a file that has neither this nor an address is in the cache, or nowhere."""
    size: int = 0
    """Bytes of a file."""
    sha256: str = ""
    """Of a file, in hex."""
    direct: bool = False
    """Of a file: whether its address was asked for, and not the package in an index."""
    vcs: str = ""
    """The kind of repository, ``git``."""
    repository: str = ""
    """Its public address."""
    commit: str = ""
    revision: str = ""
    """The branch or tag that was asked for."""
    subdirectory: str = ""
    """Where the project is in a repository, a directory or an sdist."""
    reason: str = ""
    """For all but a wheel: why there is no wheel to take."""


@dataclass(frozen=True)
class Chosen:
    """What an environment was chosen by: as long as it is the same, so are the packages."""

    kind: str
    """``project``, ``lock`` or ``requirements``."""
    path: str
    """As the recipe has it."""
    sha256: str
    """Of what names the packages there, in hex."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    glibc: str = ""


@dataclass(frozen=True)
class EnvironmentPin:
    """One environment for one build, or for one version on a target in a wheelhouse."""

    name: str
    python: BuildKey | None
    target: Target
    version: str
    """Of Python."""
    chosen: Chosen
    packages: tuple[PackagePin, ...]
    """In the order of their names."""

    def order(self) -> tuple[object, ...]:
        """A sort key: names, then builds."""
        return (self.name, self.python.order() if self.python else (), str(self.target))

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.name} for {self.python or f'{self.version} on {self.target}'}"


def environment_table(pin: EnvironmentPin) -> dict[str, Any]:
    """The table of an environment, in the order and with the names of the TOML text."""
    chosen = pin.chosen
    return {
        "name": pin.name,
        "target": str(pin.target),
        **({"python": str(pin.python)} if pin.python else {}),
        "python-version": pin.version,
        chosen.kind: chosen.path,
        "source-sha256": chosen.sha256,
        **({"extras": list(chosen.extras)} if chosen.extras else {}),
        **({"groups": list(chosen.groups)} if chosen.groups is not None else {}),
        **({"glibc": chosen.glibc} if chosen.glibc else {}),
        "package": [_package_table(each) for each in pin.packages],
    }


def environment_pin(table: Table) -> EnvironmentPin:
    """Read a table; raises :class:`StaleLock`."""
    name, target = table.get("name", str), table.target("target")
    python = None
    if "python" in table.values:
        python = BuildKey.try_parse(table.get("python", str))
        if python is None or python.target != target:
            raise table.damaged("python")
    kinds = [kind for kind in KINDS if kind in table.values]
    if not is_environment_name(name):
        raise table.damaged("name")
    if len(kinds) != 1:
        raise table.damaged(KINDS[0])
    chosen = Chosen(
        kind=kinds[0],
        path=table.get(kinds[0], str),
        sha256=table.digest("source-sha256"),
        extras=table.texts("extras") if "extras" in table.values else (),
        groups=table.texts("groups") if "groups" in table.values else None,
        glibc=table.optional("glibc"),
    )
    packages = tuple(_package_pin(each) for each in table.tables("package"))
    return EnvironmentPin(name, python, target, table.get("python-version", str), chosen, packages)


def _package_table(pin: PackagePin) -> dict[str, Any]:
    table = {field.name: getattr(pin, field.name) for field in fields(pin)}
    always = {"name", "version", "kind"} | ({"url", "size"} if pin.kind in _FILES else set())
    return {name: value for name, value in table.items() if value or name in always}


def _package_pin(table: Table) -> PackagePin:
    kind = table.get("kind", str)
    if kind not in (*_FILES, DIRECTORY, VCS):
        raise table.damaged("kind")
    is_file = kind in _FILES
    needed: Mapping[str, tuple[str, ...]] = {DIRECTORY: ("path",), VCS: ("repository", "commit")}
    for name in ("name", *needed.get(kind, ())):
        if not table.optional(name):
            raise table.damaged(name)
    filename, path = table.optional("filename"), table.optional("path")
    if is_file and (not is_filename(filename) or filename.endswith(".whl") != (kind == WHEEL)):
        raise table.damaged("filename")
    if path.startswith(("/", "~")) or "\\" in path or ":" in path:
        raise table.damaged("path")
    return PackagePin(
        name=table.get("name", str),
        version=table.get("version", str),
        kind=kind,
        filename=filename,
        url=table.address("url") if is_file else "",
        path=path,
        size=table.size("size") if is_file else 0,
        sha256=table.digest("sha256") if is_file else "",
        direct=is_file and "direct" in table.values and table.get("direct", bool),
        vcs=table.optional("vcs"),
        repository=table.optional("repository"),
        commit=table.optional("commit"),
        revision=table.optional("revision"),
        subdirectory=table.optional("subdirectory"),
        reason=table.optional("reason"),
    )
