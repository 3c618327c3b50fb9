"""What uv expects of a mirror: where an archive lies in it, and how a list speaks of a build.

uv knows each publisher's address by its beginning and puts a mirror's address in its place; below
that both have the same names. Its lists say the parts of a key in words of their own in four
places: macOS is ``darwin``, ``x86`` is ``i686``, ``riscv64gc`` is ``riscv64``, and Pyodide is
CPython for ``emscripten``. Pure: nothing here touches a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import BundleError
from kitbag_bundles.names import check_member_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.manifest import Build

LIST = "download-metadata.json"
"""The list with publishers' addresses: it goes with a mirror, wherever that is."""
DIRECT_LIST = "download-metadata-direct.json"
"""The list with whole addresses: it needs no mirror, and is right in one place alone."""

MADE = "kitbag"
"""The folder, in the place of a release's, of archives that no publisher has."""

_STANDALONE = "python-build-standalone/releases/download/"
_UNPACKED = (".tar.gz", ".tgz", ".tar", ".tar.zst", ".zip")
_ARCHES = {"x86": "i686", "riscv64gc": "riscv64"}


@dataclass(frozen=True)
class Publisher:
    """One publisher, as uv knows it."""

    prefix: str
    """The beginning of its addresses that a mirror replaces."""
    folder: str
    """Where its mirror is in an export; empty or ending in a slash."""
    option: str
    """The option of ``uv python install`` that names its mirror."""
    variable: str
    """The environment variable that does."""
    aliases: tuple[str, ...] = ()
    """Other beginnings of addresses of the same files."""


PUBLISHERS: Mapping[str, Publisher] = {
    "cpython": Publisher(
        f"https://github.com/astral-sh/{_STANDALONE}",
        "",
        "--mirror",
        "UV_PYTHON_INSTALL_MIRROR",
        (
            f"https://github.com/indygreg/{_STANDALONE}",
            f"https://releases.astral.sh/github/{_STANDALONE}",
        ),
    ),
    "pypy": Publisher(
        "https://downloads.python.org/pypy/", "pypy/", "--pypy-mirror", "UV_PYPY_INSTALL_MIRROR"
    ),
    "graalpy": Publisher(
        "https://github.com/oracle/graalpython/releases/download/",
        "graalpy/",
        "--graalpy-mirror",
        "UV_GRAALPY_INSTALL_MIRROR",
        ("https://github.com/graalvm/graalvm-ce-builds/releases/download/",),
    ),
    "pyodide": Publisher(
        "https://github.com/pyodide/pyodide/releases/download/",
        "pyodide/",
        "--pyodide-mirror",
        "UV_PYODIDE_INSTALL_MIRROR",
    ),
}
# Packages have folders in an export too: kitbag_installer.environments.
_TAKEN = ("wheels", "simple")
_FOLDERS = frozenset(
    (*_TAKEN, *(each.folder.rstrip("/") for each in PUBLISHERS.values() if each.folder))
)


def place_of(build: Build) -> str:
    """Where the archive of ``build`` lies in an export: a relative path, safe on any system.

    That is its publisher's path below the publisher's mirror. An archive that no publisher has
    under this name goes where the publisher would have put it, or into a folder of kitbag's.
    """
    publisher = PUBLISHERS[build.implementation]
    filename = build.payload.member.rpartition("/")[2]
    rest = _published(build.url, publisher)
    if rest.rpartition("/")[2] != filename or not _is_safe(rest):
        rest = _likely(build, filename)
    return publisher.folder + rest


def address_of(implementation: str, place: str) -> str:
    """The publisher's address of the archive at ``place``."""
    from urllib.parse import quote

    publisher = PUBLISHERS[implementation]
    return publisher.prefix + quote(place[len(publisher.folder) :], safe="/")


def place_in(entry: object) -> str:
    """Where the archive lies that an entry of a list speaks of; empty if not in an export."""
    url = entry.get("url") if isinstance(entry, dict) else None
    if not isinstance(url, str):
        return ""
    for publisher in PUBLISHERS.values():
        rest = _published(url, publisher)
        if rest:
            return publisher.folder + rest if _is_safe(rest) else ""
    return ""


def implementation_at(place: str) -> str:
    """Whose mirror ``place`` is in."""
    for name, publisher in PUBLISHERS.items():
        if publisher.folder and place.startswith(publisher.folder):
            return name
    return "cpython"


def entry_of(build: Build, place: str) -> tuple[str, dict[str, Any]]:
    """The name and the entry of ``build`` in a list; ``size`` is for kitbag, uv leaves it."""
    key = build.key
    target, version = key.target, key.version
    name = "cpython" if key.implementation == "pyodide" else key.implementation
    entry = {
        "name": name,
        "arch": {
            "family": _ARCHES.get(target.cpu, target.cpu),
            "variant": f"v{target.cpu_level}" if target.cpu_level > 1 else None,
        },
        "os": "darwin" if target.os == "macos" else target.os,
        "libc": target.libc,
        "major": version.major,
        "minor": version.minor,
        "patch": version.patch,
        "prerelease": version.prerelease,
        "url": address_of(build.implementation, place),
        "sha256": build.payload.sha256,
        "variant": key.variant or None,
        "build": build.release or None,
        "size": build.payload.size,
    }
    arch = entry["arch"]["family"] + target.arch[len(target.cpu) :]  # type: ignore[index]
    plus = f"+{key.variant}" if key.variant else ""
    return f"{name}-{version}{plus}-{entry['os']}-{arch}-{target.libc}", entry


def can_unpack(place: str) -> bool:
    """Whether uv unpacks archives of this form."""
    return place.endswith(_UNPACKED)


def cached_name(sha256: str, place: str) -> str:
    """The name of an archive in uv's own cache, ``UV_PYTHON_CACHE_DIR``."""
    return f"{sha256[:9]}-{place.rpartition('/')[2].replace('+', '-')}"


def _published(url: str, publisher: Publisher) -> str:
    """What follows the publisher's prefix in ``url``, decoded; empty for other addresses."""
    from urllib.parse import unquote

    for prefix in (publisher.prefix, *publisher.aliases):
        if url.startswith(prefix):
            return unquote(url[len(prefix) :])
    return ""


def _likely(build: Build, filename: str) -> str:
    """Where the publisher would have put an archive of this name."""
    folders = {
        # Old archives carry the hour too, which their release did not.
        "cpython": build.release.partition("T")[0],
        "pypy": "",
        "graalpy": f"graal-{build.release}" if build.release else "",
        "pyodide": build.release,
    }
    folder = folders[build.implementation] or (MADE if build.implementation != "pypy" else "")
    rest = f"{folder}/{filename}" if folder else filename
    if not _is_safe(rest):
        rest = f"{MADE}/{filename}"
    return rest


def _is_safe(rest: str) -> bool:
    """Whether ``rest`` may be a path in the tree; addresses come from whoever made the bundle."""
    try:
        check_member_name(rest)
    except BundleError:
        return False
    # A release by such a name would get into the mirror of another publisher, or among packages.
    return rest.partition("/")[0].lower() not in _FOLDERS and rest.count("/") <= 1
