"""What pip is configured with: its files and its environment, as pip itself reads them.

The order of pip's documentation (https://pip.pypa.io/en/stable/topics/configuration/): the
machine's files, the person's, the virtual environment's, ``PIP_CONFIG_FILE``, then ``PIP_…``
variables; a later one replaces an earlier one.
"""

from __future__ import annotations

import configparser
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTIONS = ("global", "install")
_PREFIX = "PIP_"
_FALSE = ("", "0", "false", "no", "off", "n", "f")


@dataclass(frozen=True, repr=False)
class PipConfiguration:
    """Where pip takes packages from; addresses may hold credentials."""

    index: str = ""
    """The address that takes the place of the usual one; empty where none does."""
    extra: tuple[str, ...] = ()
    """Addresses of further indexes."""
    links: tuple[str, ...] = ()
    """Directories and addresses of pages that have files."""
    no_index: bool = False
    hosts: tuple[str, ...] = ()
    """Hosts that are trusted without a certificate."""
    cert: str = ""
    """A file of certificates."""

    @property
    def is_something(self) -> bool:
        """Whether it says where packages come from."""
        return bool(self.index or self.extra or self.links or self.no_index)


def pip_configuration(environ: Mapping[str, str]) -> PipConfiguration:
    """What holds for ``environ``; what can't be read says nothing."""
    values: dict[str, str] = {}
    for path in _files(environ):
        values.update(_read(path))
    for name, value in environ.items():
        if name.upper().startswith(_PREFIX) and value:
            values[name[len(_PREFIX) :].lower().replace("_", "-")] = value
    links = values.get("find-links", "").split()
    return PipConfiguration(
        index=values.get("index-url", "").strip(),
        extra=tuple(values.get("extra-index-url", "").split()),
        links=tuple(each if "://" in each else _absolute(each) for each in links),
        no_index=values.get("no-index", "").strip().lower() not in _FALSE,
        hosts=tuple(values.get("trusted-host", "").split()),
        cert=values.get("cert", "").strip(),
    )


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
        found: dict[str, str] = {}
        for section in _SECTIONS:
            if parser.has_section(section):
                found.update({k.replace("_", "-"): v for k, v in parser.items(section) if v})
    except (OSError, configparser.Error, UnicodeError):
        return {}
    return found


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    if os.name == "nt":
        name = "pip.ini"
        yield Path(environ.get("PROGRAMDATA", r"C:\ProgramData"), "pip", name)
        yield home / "pip" / name
        if environ.get("APPDATA"):
            yield Path(environ["APPDATA"], "pip", name)
    else:
        name = "pip.conf"
        mac = Path("Library", "Application Support", "pip", name)
        for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
            yield Path(folder, "pip", name)
        yield Path("/etc", name)
        yield home / ".pip" / name
        if sys.platform == "darwin":
            yield Path("/") / mac
            yield home / mac
        yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "pip", name)
    yield Path(environ.get("VIRTUAL_ENV") or sys.prefix, name)
    if named:
        yield Path(named)
