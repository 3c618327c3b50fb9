"""A TOML table whose values are asked for by type, with errors that say where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from kitbag_bundles.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEX = frozenset("0123456789abcdef")
_MAX_SIZE = 2**63 - 1
_T = TypeVar("_T")


class Table:
    """A TOML table whose values are asked for by type; a wrong one is a :class:`BundleError`."""

    def __init__(self, values: Mapping[str, Any], where: str, *, top: bool = False) -> None:
        """``where`` begins every message; ``top`` for a whole document, whose tables it names."""
        self.values = values
        self.where = where
        self._top = top

    def _get(self, name: str, kind: type[_T], called: str) -> _T:
        value = self.values.get(name)
        # A bool is an int to Python, and never to TOML.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            problem = "misses" if value is None else "has the wrong type for"
            raise BundleError(f"{self.where} {problem} {name!r}, which is {called}")
        return value

    def _check_text(self, name: str, value: str) -> str:
        # Texts end up on terminals and in reports: no control characters, no bidirectional tricks.
        if not value.isprintable():
            raise BundleError(f"{self.where} has a character in {name!r} that cannot be printed")
        return value

    def text(self, name: str, *, empty: bool = True) -> str:
        """A text without characters that can't be printed."""
        value = self._check_text(name, self._get(name, str, "a text"))
        if not value and not empty:
            raise BundleError(f"{self.where} has an empty {name!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of such texts."""
        values: list[Any] = self._get(name, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise BundleError(f"{self.where} has something in {name!r} that is not a text")
        return tuple(self._check_text(name, value) for value in values)

    def number(self, name: str) -> int:
        """A whole number from 0 on."""
        value = self._get(name, int, "a whole number")
        if not 0 <= value <= _MAX_SIZE:
            raise BundleError(f"{self.where} has a number in {name!r} that is out of range")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._get(name, bool, "true or false")

    def optional_flag(self, name: str) -> bool | None:
        """True or false; ``None`` where it is not there."""
        return self.flag(name) if name in self.values else None

    def digest(self, name: str, *, empty: bool = False) -> str:
        """A SHA-256 in lower-case hex."""
        value = self._get(name, str, "a SHA-256 in hex")
        if not (value == "" and empty) and (len(value) != 64 or not _HEX.issuperset(value)):
            raise BundleError(f"{self.where} has no SHA-256 in lower-case hex in {name!r}")
        return value

    def table(self, name: str) -> Table:
        """A table in this one."""
        values: dict[str, Any] = self._get(name, dict, "a table")
        return Table(values, f"{self.where}: [{name}]" if self._top else self.where)

    def tables(self, name: str) -> list[Table]:
        """A list of tables, empty where there is none."""
        values: Any = self.values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise BundleError(f"{self.where} has a {name!r} that is not a list of tables")
        return [Table(value, f"{self.where}: [[{name}]]") for value in values]
