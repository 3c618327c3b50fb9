"""Reads ``requirements.txt`` as pip does: which versions are pinned, which hashes they may have.

The format is that of pip's documentation
(https://pip.pypa.io/en/stable/reference/requirements-file-format/). What is not pinned or has no
SHA-256 is refused with its line.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import DigestMismatch, UsageError
from kitbag_packer.downloads.accounts import without_secrets
from kitbag_packer.errors import Unverified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTION = re.compile(r"(?<=\s)--(hash|config-settings?|global-option|install-option)\b")
_SHORT = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-f": "--find-links",
    "-i": "--index-url",
}
_SHA256 = re.compile(r"sha256:([0-9a-fA-F]{64})")
_ADVICE = "write the file with 'uv pip compile --generate-hashes'"
_ADDRESS = re.compile(r"(?:[a-z]+\+)?https?://\S+")
_DEEPEST = 20
"""Files that include each other."""


@dataclass(frozen=True)
class Pin:
    """One requirement, as a line of a file has it."""

    where: str
    """``requirements.txt, line 3``, its path as it was given."""
    text: str = field(repr=False)
    """The requirement itself, ``idna==3.10 ; python_version < '4'``; may hold credentials."""
    name: str
    """Normalised (PEP 503); empty for a file or an address without a name."""
    version: str
    """The one that it is pinned to; empty for what is named by an address or a path."""
    hashes: frozenset[str]
    """SHA-256 in hex, those that a file of it may have."""
    is_address: bool = False
    """Whether it is one file, named by its address or path."""


@dataclass
class Requirements:
    """What a requirements file and those that it includes say."""

    pins: list[Pin] = field(default_factory=list)
    constraints: list[Pin] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    """Of indexes and files, as its lines name them; they may hold credentials."""
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    """Of the environment, those that its lines name as ``${NAME}``."""

    def hashes_of(self, name: str, version: str) -> frozenset[str]:
        """SHA-256 in hex that a file of this package may have."""
        found: set[str] = set()
        for pin in (*self.pins, *self.constraints):
            if (pin.name == name and pin.version in ("", version)) or not pin.name:
                found |= pin.hashes
        return frozenset(found)

    def where(self, name: str) -> str:
        """The line that asks for a package."""
        return next((pin.where for pin in self.pins if pin.name == name), "")


def read_requirements(path: Path, environ: Mapping[str, str]) -> Requirements:
    """Read ``path`` and what it includes.

    Raises :class:`UsageError` for what can't be read or is not pinned, and :class:`Unverified` for
    what has no SHA-256.
    """
    found = Requirements()
    _read(path, found, found.pins, environ, ())
    pinned = {pin.name: pin.version for pin in found.constraints}
    pinned.update({pin.name: pin.version for pin in found.pins if pin.version})
    loose = [pin for pin in found.pins if not (pin.is_address or pinned.get(pin.name))]
    if loose:
        raise UsageError(
            f"{_listed(loose)} not pinned to one version with ==, so nobody can tell what to "
            f"carry; {_ADVICE}"
        )
    bare = [
        pin
        for pin in found.pins
        if not (
            pin.hashes or any(pin.name == each.name and each.hashes for each in found.constraints)
        )
    ]
    if bare:
        raise Unverified(
            f"{_listed(bare)} without --hash=sha256:…, so what arrives could not be checked; "
            f"{_ADVICE}"
        )
    return found


def keep_hashed(packages: Sequence[dict[str, Any]], asked: Requirements, path: Path) -> None:
    """Keep those files of a lock's ``packages`` whose SHA-256 the requirements in ``path`` have.

    Raises :class:`DigestMismatch` for packages that have none such.
    """
    gone = [package for package in packages if not _keep_hashed(package, asked)]
    if not gone:
        return
    told = []
    for package in gone:
        name = str(package.get("name"))
        told.append(f"{asked.where(name) or path}: {name} {package.get('version', '')}".strip())
    raise DigestMismatch(
        f"{', '.join(told)} {'has' if len(told) == 1 else 'have'} no file with a hash that is "
        "written there; it was changed or taken away since; write the file anew with 'uv pip "
        "compile --generate-hashes' if that is meant"
    )


def _keep_hashed(package: dict[str, Any], asked: Requirements) -> bool:
    """Keep those files of a package whose SHA-256 the requirements have; whether there are any."""
    allowed = asked.hashes_of(str(package.get("name")), str(package.get("version", "")))

    def is_allowed(file: Any) -> bool:
        return isinstance(file, dict) and file.get("hashes", {}).get("sha256") in allowed

    wheels = [each for each in package.pop("wheels", []) if is_allowed(each)]
    singles = {kind: package.pop(kind, None) for kind in ("sdist", "archive")}
    kept = {kind: file for kind, file in singles.items() if is_allowed(file)}
    if wheels:
        kept["wheels"] = wheels
    package.update(kept)
    return bool(kept)


def _listed(pins: Sequence[Pin]) -> str:
    """Which lines, and what is in them: ``requirements.txt, line 3 (idna>=3) is``."""
    told = [f"{pin.where} ({without_secrets(pin.text)})" for pin in pins[:5]]
    more = len(pins) - len(told)
    verb = "is" if len(pins) == 1 else "are"
    return " and ".join([", ".join(told), *([f"{more} more"] if more else [])]) + f" {verb}"


def _read(
    path: Path,
    found: Requirements,
    into: list[Pin],
    environ: Mapping[str, str],
    above: tuple[Path, ...],
) -> None:
    place = Path(os.path.realpath(path))
    if place in above or len(above) > _DEEPEST:
        raise UsageError(f"{path} includes itself; take the -r out of it")
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        by = f", which {above[-1].name} includes," if above else ""
        raise UsageError(f"{path}{by} can't be read ({error.strerror}); check the path") from None
    except UnicodeError:
        raise UsageError(f"{path} is not UTF-8; write it in UTF-8") from None
    found.variables.update(
        {name: environ[name] for name in _VARIABLE.findall(text) if environ.get(name)}
    )
    for number, written in _logical(text):
        where = f"{path}, line {number}"
        line = _VARIABLE.sub(lambda one: found.variables.get(one[1], one[0]), written)
        if not line.startswith("-"):
            into.append(_pin(line, where))
            found.addresses += _ADDRESS.findall(into[-1].text)
            continue
        name, value = _option(line, where)
        if name in ("--requirement", "--constraint"):
            if "://" in value:
                raise UsageError(
                    f"{where} includes {without_secrets(value)}, which is on the web and not "
                    "pinned; save it beside this file and include that"
                )
            inside = found.constraints if name == "--constraint" else into
            _read(path.parent / value, found, inside, environ, (*above, place))
        elif name == "--editable":
            raise UsageError(
                f"{where} has -e, and an editable project can't be checked by a hash; pack it with "
                "--project, or name a wheel of it"
            )
        elif name == "--hash":
            raise UsageError(
                f"{where} has a --hash without a requirement; end the line before it with \\"
            )
        elif "://" in value:
            found.addresses.append(value)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, continued ones joined, without comments and empty ones."""
    parts: list[str] = []
    begin = 0
    for number, line in enumerate(text.splitlines(), 1):
        begin = begin if parts else number
        comment = bool(re.match(r"\s*#", line))
        if line.endswith("\\") and not comment:
            parts.append(line.rstrip("\\"))
            continue
        parts.append(" " if comment else line)
        joined = _COMMENT.sub("", "".join(parts)).strip()
        parts = []
        if joined:
            yield begin, joined
    joined = _COMMENT.sub("", "".join(parts)).strip()
    if joined:
        yield begin, joined


def _option(line: str, where: str) -> tuple[str, str]:
    """The long name of an option and its value."""
    parts = re.match(r"([^\s=]+)[\s=]*(.*)", line, re.DOTALL)
    assert parts is not None, "it begins with a hyphen"
    head, value = parts[1], parts[2]
    if not head.startswith("--") and len(head) > 2:
        head, value = head[:2], head[2:] + value
    try:
        words = shlex.split(value)
    except ValueError:
        raise UsageError(
            f"{where} has a quotation mark without its other one; correct it"
        ) from None
    return _SHORT.get(head, head), words[0] if words else ""


def _pin(line: str, where: str) -> Pin:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    options = _OPTION.search(f" {line}")
    text = line[: options.start() - 1].strip() if options else line
    hashes = frozenset(each.lower() for each in _SHA256.findall(line[len(text) :]))
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        if "/" in text or "\\" in text or text.lower().endswith((".whl", ".tar.gz", ".zip")):
            return Pin(where, text, "", "", hashes, is_address=True)
        raise UsageError(
            f"{where} is no requirement that can be read: {without_secrets(text)}; correct it"
        ) from None
    name = str(canonicalize_name(asked.name))
    if asked.url:
        return Pin(where, text, name, "", hashes, is_address=True)
    return Pin(where, text, name, _version(asked.specifier), hashes)


def _version(specifier: object) -> str:
    """The version that a specifier pins, or nothing."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    assert isinstance(specifier, SpecifierSet)
    for one in specifier:
        if one.operator in ("==", "===") and not one.version.endswith(".*"):
            try:
                return str(Version(one.version))
            except InvalidVersion:
                return one.version
    return ""
