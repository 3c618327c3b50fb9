"""Errors of the connected side; they hang in the one tree of :mod:`kitbag_bundles.errors`.

::

    KitbagError
    ├── DownloadError        1  a server, the link, or what they delivered
    │   └── OfflineError     1  it would have to be fetched, and --offline forbids it
    ├── ResolverError        1  uv could not say which packages an environment has
    ├── UsageError           2
    │   ├── CatalogError     2  a list of builds that can't be read
    │   ├── RecipeError      2  kitbag.toml
    │   └── StaleLock        2  kitbag.lock does not go with its recipe or with this kitbag
    ├── IntegrityError       3
    │   └── Unverified       3  no SHA-256 is known, so what arrives can't be checked
    └── NoMatch              4
        └── NoWheel          4  a package has no wheel for a target, and none can be built for it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.errors import IntegrityError, KitbagError, NoMatch, UsageError, error_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter


class DownloadError(KitbagError):
    """A download did not succeed; what arrived of it is kept for the next try if it is sound."""

    code = "download"


class OfflineError(DownloadError):
    """Something is neither in the cache nor local, and nothing may be fetched."""

    code = "offline"


class ResolverError(KitbagError):
    """uv could not read or make the lock of an environment."""

    code = "resolver"


class CatalogError(UsageError):
    """A catalog can't be read, or is none."""

    code = "catalog"


class RecipeError(UsageError):
    """A recipe has an unknown key, a wrong type or a value that makes no sense."""

    code = "recipe"


class StaleLock(UsageError):
    """A lock does not go with its recipe or with this version of kitbag."""

    code = "stale-lock"


class Unverified(IntegrityError):
    """No digest is known for an archive."""

    code = "unverified"


class NoWheel(NoMatch):
    """A package has no wheel for a target, and none can be built for it here."""

    code = "no-wheel"


def raise_all(failures: Sequence[KitbagError], reporter: Reporter, what: str) -> None:
    """Raise one failure as it is; tell several one by one, and end with the gravest's kind.

    ``what`` says what became of the several, and what to do. Nothing happens without failures.
    """
    if len(failures) == 1:
        raise failures[0]
    for failure in failures:
        reporter.warn(str(failure))
    if failures:
        gravest = max(failures, key=lambda failure: failure.exit_status)
        raise error_of(gravest.code, f"{len(failures)} {what}")
