"""Two wheels of one environment that would write the same path: refused unless they agree.

Paths are those of the finished environment, relative to its top: what wheels put into
``site-packages``, scripts of either kind, and data. On macOS and Windows paths that differ in case
alone are the same.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_packer.environments.model import For, Ready, WheelFile

_FOLDING = ("macos", "windows")
_OWN = re.compile(
    r"pyvenv\.cfg|\.kitbag(?:/.*)?"
    r"|(?:bin|scripts)/(?:(?:python|pypy|graalpy)w?[\d.]*t?|(?:de)?activate(?:[._].*)?)(?:\.exe)?",
    re.IGNORECASE | re.DOTALL,
)
"""What makes an environment one."""


class _File(NamedTuple):
    wheel: str
    content: str
    path: str


def conflicts(ready: Ready) -> list[UsageError]:
    """An error for each two wheels of an environment that don't go together, and for each wheel
    that would overwrite what belongs to the environment; in the order of their names.
    """
    place = ready.planned.made_for
    folding = place.target.os in _FOLDING
    name = f"environment {ready.planned.spec.name} on {place.target}"
    written: dict[str, _File] = {}
    clashes: dict[tuple[str, str], list[str]] = {}
    errors = []
    for file in ready.wheels:
        for path, content in _places(file, place):
            mine = _File(file.wheel.filename, content, path)
            if _OWN.fullmatch(path):
                errors.append(
                    UsageError(
                        f"{name}: {mine.wheel} writes {path!a}, which belongs to the environment; "
                        "leave that package out"
                    )
                )
            other = written.setdefault(_key(path, folding=folding), mine)
            # One wheel that says the same twice is a wheel that says it once.
            if other is not mine and (other.content != content or other.path != path):
                clashes.setdefault((other.wheel, mine.wheel), []).append(path)
    for key, mine in list(written.items()):
        for parent in _parents(key):
            if parent in written:
                pair = (written[parent].wheel, mine.wheel)
                clashes.setdefault(pair, []).append(written[parent].path)
                break
    return errors + [_error(name, pair, paths) for pair, paths in sorted(clashes.items())]


def _error(name: str, pair: tuple[str, str], paths: Sequence[str]) -> UsageError:
    more = f" and {len(paths) - 1} other paths" if len(paths) > 1 else ""
    if pair[0] == pair[1]:
        return UsageError(
            f"{name}: {pair[0]} writes {min(paths)!a}{more} twice, once case is folded or as a "
            "file and a folder; leave that package out there"
        )
    return UsageError(
        f"{name}: {pair[0]} and {pair[1]} both write {min(paths)!a}{more} and don't agree; leave "
        "one of the two packages out, or make two environments"
    )


def _places(file: WheelFile, place: For) -> Iterator[tuple[str, str]]:
    """Each path that a wheel writes, and something that is the same for the same content."""
    windows = place.target.os == "windows"
    programs, suffix = ("Scripts", ".exe") if windows else ("bin", "")
    site = _site_packages(place)
    info = next(path for path, _ in file.paths if path.endswith(".dist-info/RECORD"))
    data = info.removesuffix(".dist-info/RECORD") + ".data/"
    named = {name for name, _ in file.references}
    for path, digest in file.paths:
        if not path.startswith(data):
            yield f"{site}/{path}", digest
            continue
        scheme, _, rest = path.removeprefix(data).partition("/")
        if scheme == "scripts" and rest in named:
            # The entry point of its name wins, as with other installers.
            continue
        tops = {"scripts": f"{programs}/", "headers": f"include/site/{file.wheel.name}/"}
        yield tops.get(scheme, "") + rest, digest
    for name, reference in file.references:
        yield f"{programs}/{name}{suffix}", f"runs {reference}"


def _site_packages(place: For) -> str:
    if place.target.os == "windows":
        return "Lib/site-packages"
    if place.key is not None:
        from kitbag_bundles.layout import standard_library

        return f"{standard_library(place.key)}/site-packages"
    return f"lib/python{'.'.join(place.version.split('.')[:2])}/site-packages"


def _key(path: str, *, folding: bool) -> str:
    return unicodedata.normalize("NFC", path).lower() if folding else path


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
