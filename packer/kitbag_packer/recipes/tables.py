"""Tables of a lock, whose values are asked for by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import Target
from kitbag_packer.errors import StaleLock

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEDY = "make it again with kitbag lock --upgrade"
_HEX = frozenset("0123456789abcdef")
_T = TypeVar("_T")


class Table:
    """One table; every method raises :class:`StaleLock` for what is not as it must be."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def damaged(self, name: str) -> StaleLock:
        """The error for a value that is not what it must be."""
        return StaleLock(f"{self.where}: {name!r} is missing or damaged; {REMEDY}")

    def get(self, name: str, kind: type[_T]) -> _T:
        """A value of this type."""
        value = self.values.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.damaged(name)
        # Texts end up in manifests and on terminals.
        if isinstance(value, str) and not value.isprintable():
            raise self.damaged(name)
        return value

    def optional(self, name: str) -> str:
        """A text, or an empty one where there is none."""
        return self.get(name, str) if name in self.values else ""

    def flag(self, name: str) -> bool:
        """Whether it is set; what is not there is not."""
        return name in self.values and self.get(name, bool)

    def size(self, name: str) -> int:
        """Bytes."""
        value = self.get(name, int)
        if value < 0:
            raise self.damaged(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values: list[Any] = self.get(name, list)
        if not all(isinstance(each, str) and each.isprintable() for each in values):
            raise self.damaged(name)
        return tuple(values)

    def address(self, name: str) -> str:
        """What goes into the bundle as it is: a web address without secrets, or nothing."""
        from kitbag_packer.catalogs.naming import is_remote
        from kitbag_packer.downloads.addresses import shown

        url = self.get(name, str)
        if url and (not is_remote(url) or shown(url) != url):
            raise self.damaged(name)
        return url

    def target(self, name: str) -> Target:
        """A target in full."""
        try:
            return Target.parse(self.get(name, str))
        except UsageError:
            raise self.damaged(name) from None

    def digest(self, name: str, *, empty: bool = False) -> str:
        """A SHA-256 in hex."""
        value = self.get(name, str)
        if not value and empty:
            return ""
        if len(value) != 64 or not _HEX.issuperset(value):
            raise self.damaged(name)
        return value

    def tables(self, name: str) -> list[Table]:
        """An array of tables; what is not there has none."""
        values = self.values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise self.damaged(name)
        return [Table(each, f"{self.where}: [[{name}]] {i}") for i, each in enumerate(values, 1)]
