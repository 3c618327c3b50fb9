"""Words on the command line: names of environments, and requests for builds.

No name is also a request (:func:`kitbag_bundles.environments.is_environment_name`), so a word tells
by itself which of both it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.errors import NoMatch, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kitbag_bundles.requests import Request


def split_words(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[Request, ...]]:
    """Names, each once, and requests; raises :class:`UsageError` for what is neither."""
    names: dict[str, None] = {}
    requests = []
    for word in words:
        if _is_name(word):
            names[word] = None
        else:
            requests.append(_request(word))
    return tuple(names), tuple(requests)


def _request(word: str) -> Request:
    from kitbag_bundles.requests import Request

    return Request.parse(word)


def _is_name(word: str) -> bool:
    if not word[:1].islower():
        # Most requests are versions, which need no more than this look.
        return False
    from kitbag_bundles.environments import is_environment_name

    return is_environment_name(word)


def check_names(
    names: Iterable[str], known: Collection[str], where: str, *, only: bool = False
) -> None:
    """Raise :class:`NoMatch` unless all ``names`` are among ``known``, which are in ``where``.

    Where there is none at all, the word was meant as something else: :class:`UsageError`, but not
    if it can ``only`` be the name of an environment.
    """
    for name in names:
        if name in known:
            continue
        if not known and not only:
            try:
                _request(name)
            except UsageError as error:
                raise UsageError(f"{error}; and {where} has no environments") from None
        has = f"it has {', '.join(sorted(known))}" if known else "install a bundle that has it"
        raise NoMatch(f"{where} has no environment {name!r}; {has}")
