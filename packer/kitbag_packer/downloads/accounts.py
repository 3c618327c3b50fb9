"""Who one is at which server: user names and passwords, kept out of everything that is shown.

An address may carry them (``https://user:password@host/``); whoever reads one from a file takes
them out here, and what opens addresses asks here. Nothing else keeps them.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_PORTS = {"http": 80, "https": 443}
_USERINFO = re.compile(r"(?<=://)[^/?#\s'\"`]*@")
_UNQUOTED = re.compile(
    r"(https?://)([^/?#\s'\"`:@\[\]]*):(?!\d+[/?#])([^/?#\s'\"`@]*[/?#][^\s'\"`]*)@", re.IGNORECASE
)
"""A password with one of ``/?#`` that nobody quoted: to a parser the host ends there, and what is
left of the password is a path."""
_SHORTEST = 4
"""Letters of a secret that is looked for in texts; a shorter one is in too many words."""


class Account(NamedTuple):
    """A user name and a password, which may be empty."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Account(…)"


class Accounts:
    """Those that are known; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, int], dict[tuple[str, bool], Account]] = {}
        self._secrets: set[str] = set()

    def add(self, url: str, user: str = "", password: str = "", *, below: bool = False) -> str:
        """``url`` without the credentials in it, which count from now on for its server.

        ``user`` and ``password`` beat those of ``url``. With ``below`` they count only for what is
        below ``url``, as those of a repository do. The user of an address of ssh is a part of it.
        """
        url = _UNQUOTED.sub(self._quoted, url, count=1)
        parts = _split(url)
        if parts is None:
            return _USERINFO.sub("", url) if "://" in url else url
        userinfo, _, host = parts.netloc.rpartition("@")
        name, _, secret = userinfo.partition(":")
        account = Account(user or unquote(name), password if user or password else unquote(secret))
        if account in (Account("", ""), Account("git", "")):
            return url
        self._hide(secret, account.password, quote(account.password, safe=""))
        origin = _origin(parts)
        if origin is None:
            return urlunsplit(parts._replace(netloc=f"{name}@{host}" if name else host))
        if not account.password:
            self._hide(name, account.user)
        with self._lock:
            self._known.setdefault(origin, {}).setdefault((parts.path, below), account)
        return urlunsplit(parts._replace(netloc=host))

    def of(self, url: str) -> Account | None:
        """Who to be at ``url``: of the same scheme, host and port, the one of the nearest path."""
        parts = _split(url)
        origin = _origin(parts) if parts is not None else None
        if parts is None or origin is None:
            return None
        with self._lock:
            known = dict(self._known.get(origin, {}))
        path = parts.path
        fitting = [
            (place, below)
            for place, below in known
            if not below or f"{path}/".startswith(f"{place.rstrip('/')}/")
        ]
        if not fitting:
            return None
        return known[max(fitting, key=lambda each: _in_common(each[0], path))]

    def filled(self, url: str) -> str:
        """``url`` with credentials in it, for a tool that takes them so and by no means to show."""
        account = self.of(url)
        parts = _split(url)
        if account is None or parts is None or "@" in parts.netloc:
            return url
        userinfo = quote(account.user, safe="")
        if account.password:
            userinfo += ":" + quote(account.password, safe="")
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))

    def hide(self, text: str) -> str:
        """``text`` without any credentials."""
        with self._lock:
            secrets = sorted(self._secrets, key=len, reverse=True)
        for secret in secrets:
            text = text.replace(secret, "****")
        return without_secrets(text)

    def _quoted(self, found: re.Match[str]) -> str:
        start, user, secret = found.groups()
        self._hide(secret)
        return f"{start}{user}:{quote(unquote(secret), safe='')}@"

    def _hide(self, *secrets: str) -> None:
        with self._lock:
            self._secrets.update(each for each in secrets if len(each) >= _SHORTEST)


def without_secrets(text: str) -> str:
    """``text`` without the credentials that are in its addresses."""
    return _USERINFO.sub(_without_secret, _UNQUOTED.sub(r"\1", text))


def _without_secret(found: re.Match[str]) -> str:
    # The user git of an ssh address is none's secret, and the address is useless without.
    return found[0] if found[0] == "git@" else ""


def _split(url: str) -> SplitResult | None:
    if "://" not in url:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    """Scheme, host and port; nothing for what is not on the web."""
    # A repository's may begin with the name of its kind, git+https.
    scheme = parts.scheme.lower().rpartition("+")[2]
    try:
        port = parts.port or _PORTS.get(scheme)
    except ValueError:
        return None
    if scheme not in _PORTS or not parts.hostname or port is None:
        return None
    return scheme, parts.hostname.lower(), port


def _in_common(one: str, other: str) -> int:
    """How many folders two paths share from the top."""
    count = 0
    for mine, theirs in zip(one.split("/"), other.split("/"), strict=False):
        if mine != theirs:
            break
        count += 1
    return count
