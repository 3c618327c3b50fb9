"""Which builds and which environments of a root a command is about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_installer.environments.naming import check_names, split_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_bundles.requests import Request
    from kitbag_installer.roots import Root


class Subjects(NamedTuple):
    """What stands on a command line; nothing at all means everything."""

    names: tuple[str, ...]
    """Names of environments."""
    requests: tuple[Request, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> Subjects:
        """Read ``words``; raises :class:`UsageError`."""
        return cls(*split_words(words))

    @property
    def means_builds(self) -> bool:
        """Whether builds are meant: all of them where there are no requests."""
        return bool(self.requests) or not self.names

    def environments(self, root: Root) -> tuple[str, ...]:
        """The names of those that are meant, sorted.

        Raises :class:`NoMatch` where one is not there, :class:`UsageError` where there is none at
        all, and :class:`FileSystemError`.
        """
        if self.requests and not self.names:
            return ()
        known = present_environments(root)
        check_names(self.names, known, root.path)
        return tuple(sorted(self.names)) or known


def present_environments(root: Root) -> tuple[str, ...]:
    """All that kitbag installed, sorted, also those that have lost their receipt since.

    Raises :class:`FileSystemError`.
    """
    from kitbag_installer.environments.places import environments_folder, names_in

    folder = environments_folder(root)
    names = names_in(folder)
    if not names:
        return ()
    from kitbag_installer.environments.receipts import is_ours

    return tuple(name for name in names if is_ours(os.path.join(folder, name)))
