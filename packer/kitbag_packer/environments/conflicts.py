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
from kitbag_installer.environments.layout import Layout, layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_packer.environments.model import For, Ready, WheelFile

_FOLDING = ("macos", "windows")
_OWN = re.compile(
    r"pyvenv\.cfg|lib64"
    r"|(?:bin|scripts)/(?:(?:python|pypy|graalpy)w?[\d.]*t?|(?:de)?activate(?:[._].*)?)(?:\.exe|\.cmd)?",
    re.IGNORECASE | re.DOTALL,
)
"""What makes an environment one."""
_UNFIT_ON_WINDOWS = re.compile(
    r'[<>:"|?*]|[ .](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.[^/]*)?(?:/|$)',
    re.IGNORECASE,
)
"""https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file"""


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
            if place.target.os == "windows" and _UNFIT_ON_WINDOWS.search(path):
                errors.append(
                    UsageError(
                        f"{name}: {mine.wheel} has {path!a}, and no file on Windows can be called "
                        "that; leave that package out there"
                    )
                )
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
    layout = _layout(place)
    suffix = "" if not layout.windows else ".exe" if place.key is None else ".cmd"
    info = next(path for path, _ in file.paths if path.endswith(".dist-info/RECORD"))
    data = info.removesuffix(".dist-info/RECORD") + ".data/"
    named = {name for name, _ in file.references}
    for path, digest in file.paths:
        if not path.startswith(data):
            yield f"{layout.site}/{path}", digest
            continue
        scheme, _, rest = path.removeprefix(data).partition("/")
        # An entry point of its name wins, as with other installers.
        if scheme != "scripts" or rest not in named:
            yield layout.place(scheme, file.wheel.name, rest), digest
    for name, reference in file.references:
        yield f"{layout.programs}/{name}{suffix}", f"runs {reference}"


def _layout(place: For) -> Layout:
    if place.key is not None:
        return layout_of(place.key)
    # What a wheelhouse is for may be laid out in another way, but not in which files meet.
    minor = ".".join(place.version.split(".")[:2])
    if place.target.os == "windows":
        return Layout("Lib/site-packages", "Scripts", "Include", windows=True)
    site, headers = f"lib/python{minor}/site-packages", f"include/site/python{minor}"
    return Layout(site, "bin", headers, windows=False)


def _key(path: str, *, folding: bool) -> str:
    return unicodedata.normalize("NFC", path).lower() if folding else path


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
