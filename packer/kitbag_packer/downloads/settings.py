"""How downloads behave: how many, how fast, how patient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_packer.downloads.accounts import Accounts


@dataclass(frozen=True)
class DownloadSettings:
    """All that a caller may set; the defaults suit a link of a few KB/s and a fast one."""

    jobs: int = 8
    """Downloads side by side."""
    per_host: int = 4
    """Of these, at most so many from one host."""
    limit_rate: int | None = None
    """Bytes per second for all downloads together; ``None`` for no limit."""
    offline: bool = False
    """Use no network; ``file:`` addresses stay allowed."""
    retries: int = 8
    """Tries in a row without one new byte, after which a download is given up."""
    connect_timeout: float = 15.0
    """Seconds to wait for a connection."""
    read_timeout: float = 60.0
    """Seconds of silence after which a connection counts as dead."""
    minimum_rate: int = 32
    """Bytes per second, averaged over ``rate_window``, below which a connection is stalled."""
    rate_window: float = 60.0
    """Seconds."""
    first_pause: float = 1.0
    """Seconds before the second try; doubled, with jitter, for each further one."""
    longest_pause: float = 60.0
    """Seconds; a server's ``Retry-After`` is honoured up to ten times this."""
    accounts: Accounts | None = field(default=None, repr=False, compare=False)
    """Who to be at which server, beside what an address itself and netrc say."""


def settings_from(
    environ: Mapping[str, str], *, jobs: int | None, limit_rate: int | None, offline: bool
) -> DownloadSettings:
    """What options and environment say; ``None`` stands for the default.

    ``KITBAG_HTTP_TIMEOUT``: seconds of silence; ``KITBAG_HTTP_RETRIES``: tries without one new
    byte. Raises :class:`UsageError`.
    """
    usual = DownloadSettings()
    timeout = _number(environ, "KITBAG_HTTP_TIMEOUT", usual.read_timeout)
    return replace(
        usual,
        jobs=usual.jobs if jobs is None else jobs,
        per_host=usual.per_host if jobs is None else min(usual.per_host, jobs),
        limit_rate=limit_rate,
        offline=offline,
        retries=int(_number(environ, "KITBAG_HTTP_RETRIES", usual.retries, whole=True)),
        read_timeout=timeout,
        rate_window=max(usual.rate_window, timeout),
        connect_timeout=min(usual.connect_timeout, timeout),
    )


def _number(environ: Mapping[str, str], name: str, usual: float, *, whole: bool = False) -> float:
    text = environ.get(name, "").strip()
    if not text:
        return usual
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        kind = "a whole number" if whole else "a number of seconds"
        raise UsageError(f"{name} is {text!r}; it must be {kind} above 0")
    return number
