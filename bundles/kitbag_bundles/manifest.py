"""The manifest: what a bundle holds, as frozen data, and its reading from TOML.

Writing the TOML text is the packer's business; :func:`to_table` gives it the table. What is checked
here is the manifest against itself; :mod:`kitbag_bundles.bundle` holds it against the members.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles import __version__, toml
from kitbag_bundles.errors import BundleError, UnsupportedFormat
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.members import MANIFEST as MEMBER
from kitbag_bundles.names import check_member_name
from kitbag_bundles.tables import Table

if TYPE_CHECKING:
    from kitbag_bundles.environments import Environment, Wheel

FORMAT = 1
ENVIRONMENTS = "environments"
"""The ability to install environments: who does not have it must not install half of a bundle."""
ABILITIES = frozenset((ENVIRONMENTS,))
"""What ``requires`` may name."""
VERBATIM = "verbatim"
ENCODINGS = (VERBATIM,)
BYTECODE_MODES = ("checked-hash", "unchecked-hash")
"""How bytecode in a bundle may be held against its source (PEP 552); a time means nothing there."""

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LARGEST_MAGIC = 0xFFFF


@dataclass(frozen=True)
class Payload:
    """Where the archive of a build is, and how."""

    encoding: str
    """``verbatim``: the member is the upstream archive, byte for byte."""
    member: str
    """The member's name, ``archives/<file name>``."""
    top: str
    """The archive's folder that is stripped, ``python`` or ``python/install``; may be empty."""
    size: int
    """Bytes of the member."""
    sha256: str
    """SHA-256 of the member in hex."""
    tar_sha256: str
    """SHA-256 of the uncompressed tar in hex; empty where the archive is no tar."""


@dataclass(frozen=True)
class Needs:
    """What the target must have; an empty text where nothing is needed or it is not applicable."""

    interpreter: str
    """The ELF program interpreter."""
    glibc: str
    """Least version of glibc, ``2.17``."""
    libraries: tuple[str, ...]
    """Shared libraries outside the tree, beyond the C library."""
    cpu: str
    """``x86-64``, ``x86-64-v3``, …"""
    os: str
    """Least version of macOS or Windows."""


@dataclass(frozen=True)
class Bytecode:
    """Compiled files that are laid over a build's tree once its paths are rewritten."""

    member: str
    """The member's name, ``meta/bytecode/<key>.tar.gz``; a kitbag that does not know it installs
    the build without."""
    size: int
    """Bytes of the member."""
    sha256: str
    """SHA-256 of the member in hex."""
    tar_sha256: str
    """SHA-256 of the uncompressed tar in hex: what every zlib gives alike."""
    files: int
    """How many files are in it."""
    unpacked_size: int
    """Bytes of all of them."""
    magic: int
    """The magic number of the bytecode, 3571 for CPython 3.13: the first two bytes of each file,
    little-endian (CPython's Include/internal/pycore_magic_number.h)."""
    tag: str
    """The cache tag in the files' names, ``cpython-313`` (PEP 3147)."""
    mode: str
    """How the interpreter finds out that one is stale: ``checked-hash``, ``unchecked-hash``."""
    maker: str
    """What compiled it, ``cpython-3.13.5``."""


@dataclass(frozen=True)
class Build:
    """One Python runtime of the bundle."""

    key: BuildKey
    implementation: str
    version: str
    release: str
    """The distribution's release: ``20260101``, PyPy's ``7.3.19``."""
    flavor: str
    """``install_only_stripped``, …; what upstream calls this kind of archive."""
    url: str
    """The canonical upstream address; empty for an archive that kitbag made."""
    unpacked_size: int
    """Bytes of all files of the tree."""
    files: int
    """Number of paths in the contents list, directories and links included."""
    longest_path: int
    """Bytes of the longest path of the tree."""
    case_collisions: bool
    """Whether two paths differ only in case."""
    payload: Payload
    needs: Needs
    bootstrap: bool = False
    """Whether it was added for starting the installer, and is installed only when asked for."""
    bytecode: Bytecode | None = None
    """What was compiled when packing, if anything was."""

    @property
    def bytecode_member(self) -> str:
        """The name that a member with this build's bytecode has."""
        return f"meta/bytecode/{self.key}.tar.gz"

    @property
    def contents_member(self) -> str:
        """The name of the member that holds this build's contents list."""
        return f"contents/{self.key}.tsv"


@dataclass(frozen=True)
class InstallDefaults:
    """What an install does unless it is told otherwise; ``None`` leaves it to kitbag."""

    default: bool | None = None
    """Whether ``python3`` and ``python`` are linked too."""
    externally_managed: bool | None = None
    """Whether builds get the file ``EXTERNALLY-MANAGED``."""
    bin: bool | None = None
    """Whether there are links and a ``kitbag`` command at all."""


@dataclass(frozen=True)
class Manifest:
    """The whole manifest."""

    format: int
    requires: tuple[str, ...]
    name: str
    version: str
    kitbag: str
    """The version of kitbag that made the bundle."""
    builds: tuple[Build, ...]
    install: InstallDefaults = InstallDefaults()
    wheels: tuple[Wheel, ...] = ()
    """In bytewise order of their file names."""
    environments: tuple[Environment, ...] = ()
    """In the order of :meth:`Environment.order`."""

    def build(self, key: BuildKey) -> Build | None:
        """The build with this key, if there is one."""
        return next((build for build in self.builds if build.key == key), None)

    def wheels_of(self, environment: Environment) -> tuple[Wheel, ...]:
        """The wheels of one environment."""
        names = set(environment.wheels)
        return tuple(wheel for wheel in self.wheels if wheel.filename in names)


def parse(text: str) -> Manifest:
    """Read a manifest.

    Raises :class:`UnsupportedFormat` for a bundle that needs a newer kitbag, and
    :class:`BundleError` for everything that is missing, of the wrong type or contradicts itself.
    Unknown keys are ignored.
    """
    try:
        document = toml.loads(text)
    except ValueError as error:
        raise BundleError(f"{MEMBER} is not TOML: {error}") from None
    table = Table(document, MEMBER, top=True)
    _check_abilities(table)
    bundle = table.table("bundle")
    builds = tuple(_parse_build(each) for each in table.tables("build"))
    keys = [build.key for build in builds]
    for key in keys:
        if keys.count(key) > 1:
            raise BundleError(f"{MEMBER} has two builds with the key {key}")
    requires = table.texts("requires")
    wheels, found = _parse_environments(table, keys)
    if bool(found) != (ENVIRONMENTS in requires):
        raise BundleError(f"{MEMBER} must require {ENVIRONMENTS!r} for environments alone")
    return Manifest(
        format=FORMAT,
        requires=requires,
        name=bundle.text("name", empty=False),
        version=bundle.text("version"),
        kitbag=bundle.text("kitbag", empty=False),
        builds=builds,
        install=_parse_install(table),
        wheels=wheels,
        environments=found,
    )


def _parse_environments(
    table: Table, builds: list[BuildKey]
) -> tuple[tuple[Wheel, ...], tuple[Environment, ...]]:
    if "wheel" not in table.values and "environment" not in table.values:
        return (), ()
    from kitbag_bundles.environments import parse_environments, parse_wheels

    wheels = parse_wheels(table.tables("wheel"))
    return wheels, parse_environments(table.tables("environment"), wheels, builds)


def to_table(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain tables, in the order and with the names of the TOML text."""
    from kitbag_bundles.environments import environments_table

    return {
        "format": manifest.format,
        "requires": list(manifest.requires),
        "bundle": {
            "name": manifest.name,
            "version": manifest.version,
            "kitbag": manifest.kitbag,
        },
        **install_table(manifest.install),
        "build": [_build_table(build) for build in manifest.builds],
        **environments_table(manifest.wheels, manifest.environments),
    }


def install_table(install: InstallDefaults) -> dict[str, dict[str, bool]]:
    """``{"install": …}`` with what ``install`` says, and nothing at all if it says nothing."""
    said = {
        "default": install.default,
        "externally-managed": install.externally_managed,
        "bin": install.bin,
    }
    table = {name: value for name, value in said.items() if value is not None}
    return {"install": table} if table else {}


def _build_table(build: Build) -> dict[str, Any]:
    return {
        "key": str(build.key),
        "implementation": build.implementation,
        "version": build.version,
        "release": build.release,
        "flavor": build.flavor,
        "url": build.url,
        "unpacked-size": build.unpacked_size,
        "files": build.files,
        "longest-path": build.longest_path,
        "case-collisions": build.case_collisions,
        "payload": {
            "encoding": build.payload.encoding,
            "member": build.payload.member,
            "top": build.payload.top,
            "size": build.payload.size,
            "sha256": build.payload.sha256,
            "tar-sha256": build.payload.tar_sha256,
        },
        "needs": {
            "interpreter": build.needs.interpreter,
            "glibc": build.needs.glibc,
            "libraries": list(build.needs.libraries),
            "cpu": build.needs.cpu,
            "os": build.needs.os,
        },
        **({"bytecode": _bytecode_table(build.bytecode)} if build.bytecode else {}),
        **({"bootstrap": True} if build.bootstrap else {}),
    }


def _bytecode_table(bytecode: Bytecode) -> dict[str, Any]:
    return {
        "member": bytecode.member,
        "size": bytecode.size,
        "sha256": bytecode.sha256,
        "tar-sha256": bytecode.tar_sha256,
        "files": bytecode.files,
        "unpacked-size": bytecode.unpacked_size,
        "magic": bytecode.magic,
        "tag": bytecode.tag,
        "mode": bytecode.mode,
        "maker": bytecode.maker,
    }


def _check_abilities(table: Table) -> None:
    """Refuse what a newer kitbag made, before anything else can look wrong."""
    maker = "a newer kitbag"
    advice = "use a newer kitbag"
    bundle = table.values.get("bundle")
    version = bundle.get("kitbag") if isinstance(bundle, dict) else None
    if isinstance(version, str) and version and len(version) <= 40 and version.isprintable():
        maker = f"kitbag {version}"
        advice = f"use kitbag >= {version}"
    number = table.number("format")
    if number > FORMAT:
        raise UnsupportedFormat(
            f"the bundle was made by {maker} in format {number};"
            f" this is kitbag {__version__}, which reads format {FORMAT}: {advice}"
        )
    if number != FORMAT:
        raise BundleError(f"{MEMBER} has the format {number}, which never existed")
    unknown = [ability for ability in table.texts("requires") if ability not in ABILITIES]
    if unknown:
        raise UnsupportedFormat(
            f"the bundle was made by {maker} and requires {', '.join(unknown)},"
            f" which this kitbag {__version__} does not know: {advice}"
        )


def _parse_build(table: Table) -> Build:
    text = table.text("key")
    key = BuildKey.try_parse(text)
    if key is None or str(key) != text:
        raise BundleError(f"{MEMBER}: {text!r} is not a build key")
    table.where = f"{MEMBER}: build {text}"
    build = Build(
        key=key,
        implementation=table.text("implementation"),
        version=table.text("version"),
        release=table.text("release"),
        flavor=table.text("flavor"),
        url=table.text("url"),
        unpacked_size=table.number("unpacked-size"),
        files=table.number("files"),
        longest_path=table.number("longest-path"),
        case_collisions=table.flag("case-collisions"),
        payload=_parse_payload(table.table("payload")),
        needs=_parse_needs(table.table("needs")),
        bootstrap=bool(table.optional_flag("bootstrap")),
        bytecode=_parse_bytecode(table.table("bytecode")) if "bytecode" in table.values else None,
    )
    if build.bytecode is not None and build.bytecode.member != build.bytecode_member:
        raise BundleError(f"{table.where} has bytecode that is not {build.bytecode_member}")
    if build.implementation != key.implementation or build.version != str(key.version):
        raise BundleError(f"{table.where} gives an implementation or version that is not its key's")
    return build


def _parse_install(table: Table) -> InstallDefaults:
    if "install" not in table.values:
        return InstallDefaults()
    install = table.table("install")
    return InstallDefaults(
        default=install.optional_flag("default"),
        externally_managed=install.optional_flag("externally-managed"),
        bin=install.optional_flag("bin"),
    )


def _parse_payload(table: Table) -> Payload:
    encoding = table.text("encoding", empty=False)
    if encoding not in ENCODINGS:
        raise UnsupportedFormat(
            f"{table.where} has the encoding {encoding!r}, which this kitbag {__version__}"
            " does not know: use a newer kitbag"
        )
    member = table.text("member")
    check_member_name(member)
    folder, _, name = member.partition("/")
    if folder != "archives" or not name or "/" in name:
        raise BundleError(f"{table.where} has a member that is not archives/<file name>")
    top = table.text("top")
    if top and any(part in ("", ".", "..") for part in top.split("/")):
        raise BundleError(f"{table.where} has a top folder that is not a relative, normal path")
    return Payload(
        encoding=encoding,
        member=member,
        top=top,
        size=table.number("size"),
        sha256=table.digest("sha256"),
        tar_sha256=table.digest("tar-sha256", empty=True),
    )


def _parse_bytecode(table: Table) -> Bytecode:
    mode = table.text("mode", empty=False)
    if mode not in BYTECODE_MODES:
        raise UnsupportedFormat(
            f"{table.where} has bytecode in the mode {mode!r}, which this kitbag {__version__}"
            " does not know: use a newer kitbag"
        )
    bytecode = Bytecode(
        member=table.text("member"),
        size=table.number("size"),
        sha256=table.digest("sha256"),
        tar_sha256=table.digest("tar-sha256"),
        files=table.number("files"),
        unpacked_size=table.number("unpacked-size"),
        magic=table.number("magic"),
        tag=table.text("tag"),
        mode=mode,
        maker=table.text("maker", empty=False),
    )
    if not _TAG.fullmatch(bytecode.tag):
        raise BundleError(f"{table.where} has bytecode with a cache tag that is none")
    if bytecode.magic > _LARGEST_MAGIC:
        raise BundleError(f"{table.where} has bytecode with a magic number above {_LARGEST_MAGIC}")
    if not bytecode.files:
        raise BundleError(f"{table.where} has bytecode of no files; such a table is left out")
    return bytecode


def _parse_needs(table: Table) -> Needs:
    return Needs(
        interpreter=table.text("interpreter"),
        glibc=table.text("glibc"),
        libraries=table.texts("libraries"),
        cpu=table.text("cpu"),
        os=table.text("os"),
    )
