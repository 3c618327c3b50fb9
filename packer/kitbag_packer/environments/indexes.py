"""Where packages come from: uv's own configuration, else pip's, handed to uv by environment.

Credentials in either go to the accounts, so that downloads have them too. Never on a command
line, where every process of the machine could read them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_bundles.toml import loads
from kitbag_packer.environments.model import PROJECT, REQUIREMENTS
from kitbag_packer.environments.pipconf import pip_configuration
from kitbag_packer.environments.projects import Project
from kitbag_packer.environments.pylocks import read_table, without_credentials
from kitbag_packer.errors import Unverified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kitbag_packer.downloads.accounts import Accounts
    from kitbag_packer.environments.model import Spec

_KEYS = ("index", "index-url", "extra-index-url", "find-links", "no-index")
_VARIABLES = (
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"),
    # What the first two were called before.
    *("UV_INDEX_URL", "UV_EXTRA_INDEX_URL"),
)
_NAMED = re.compile(r"([A-Za-z0-9_.-]+)=(.+)", re.DOTALL)


def index_settings(
    folder: Path, accounts: Accounts, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What uv needs for work in ``folder`` beside its own configuration: variables, and options.

    Both are empty where uv has an index of its own; otherwise they are pip's. All credentials of
    either are put into ``accounts``.
    """
    tables = [*_tables(folder, environ)]
    own = any(key in table for table in tables for key in _KEYS)
    for table in tables:
        for name, url in _addresses(table):
            _note(name, url, accounts, environ)
    for variable in _VARIABLES:
        # In a list of directories a comma separates, in a list of addresses a blank.
        for text in re.split(r"[\s,]+", environ.get(variable, "")):
            named = _NAMED.fullmatch(text) if "://" in text else None
            name, url = (named[1], named[2]) if named else ("", text)
            own = own or bool(url)
            _note(name, url, accounts, environ)
    pip = pip_configuration(environ)
    for url in (pip.index, *pip.extra, *pip.links):
        _note("", url, accounts, environ)
    if own or not pip.is_something:
        return {}, ()
    variables = {
        "UV_DEFAULT_INDEX": pip.index,
        "UV_INDEX": " ".join(pip.extra),
        "UV_FIND_LINKS": ",".join(pip.links),
        "UV_INSECURE_HOST": environ.get("UV_INSECURE_HOST") or " ".join(pip.hosts),
        "SSL_CERT_FILE": environ.get("SSL_CERT_FILE") or pip.cert,
        # pip looks at all of its indexes for the best version of a package.
        "UV_INDEX_STRATEGY": environ.get("UV_INDEX_STRATEGY") or "unsafe-best-match",
    }
    found = {name: value for name, value in variables.items() if value}
    return found, ("--no-index",) if pip.no_index else ()


def know_accounts(spec: Spec, accounts: Accounts, environ: Mapping[str, str]) -> None:
    """Put all credentials that an environment of ``spec`` could need into ``accounts``.

    For one that was planned before: those of the configuration, and of the addresses in its lock
    or its requirements, which need not be there any more.
    """
    from kitbag_packer.environments.requirements import read_requirements

    place: Path | None = spec.path
    if spec.kind == PROJECT:
        project = Project.near(spec.path)
        index_settings(project.folder, accounts, environ)
        place = project.lock()
    else:
        index_settings(spec.path.parent, accounts, environ)
    if place is None:
        return
    # What can't be read says nothing here: the packages are known already.
    with contextlib.suppress(UsageError, Unverified):
        if spec.kind == REQUIREMENTS:
            for address in read_requirements(place, environ).addresses:
                accounts.add(address)
        else:
            without_credentials(read_table(place), accounts)


def _note(name: str, url: str, accounts: Accounts, environ: Mapping[str, str]) -> None:
    """Put what is known about an index into ``accounts``."""
    if "://" not in url:
        return
    user = password = ""
    if name:
        # https://docs.astral.sh/uv/concepts/indexes/ says how a name becomes a variable.
        variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
        user = environ.get(f"{variable}_USERNAME", "")
        password = environ.get(f"{variable}_PASSWORD", "")
    accounts.add(url, user, password)


def _addresses(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and addresses of a configuration's indexes; anything else is uv's to complain of."""
    indexes = table.get("index", [])
    for each in indexes if isinstance(indexes, list) else []:
        if isinstance(each, dict) and isinstance(each.get("url"), str):
            yield str(each.get("name", "")), each["url"]
    for key in ("index-url", "extra-index-url", "find-links"):
        value = table.get(key, [])
        for each in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            if isinstance(each, str):
                yield "", each


def _tables(folder: Path, environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The tables that uv reads its settings from, in no particular order."""
    # https://docs.astral.sh/uv/concepts/configuration-files/
    for path in _files(folder, environ):
        try:
            table = loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if path.name == "pyproject.toml":
            tool = table.get("tool")
            table = tool.get("uv") if isinstance(tool, dict) else None  # type: ignore[assignment]
        if isinstance(table, dict):
            yield table
            if isinstance(table.get("pip"), dict):
                yield table["pip"]


def _files(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("UV_CONFIG_FILE")
    if named:
        yield Path(named)
        return
    if environ.get("UV_NO_CONFIG", "").lower() in ("1", "true", "yes", "on"):
        return
    for parent in (folder, *folder.parents):
        yield parent / "uv.toml"
        yield parent / "pyproject.toml"
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    if sys.platform == "win32":
        for variable in ("APPDATA", "PROGRAMDATA"):
            if environ.get(variable):
                yield Path(environ[variable], "uv", "uv.toml")
        return
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "uv", "uv.toml")
    for place in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(place, "uv", "uv.toml")
    yield Path("/etc/uv/uv.toml")
