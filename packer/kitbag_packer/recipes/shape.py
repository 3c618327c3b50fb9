"""Holds a table against the JSON schema of recipes, in the words of a person who wrote TOML.

The schema is the one list of keys and types, for editors and for kitbag. Of JSON Schema this knows
what that file uses and no more; a test holds both against a full implementation.
"""

from __future__ import annotations

import difflib
import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from kitbag_packer.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES: Mapping[str, tuple[type, str]] = {
    "string": (str, "a text"),
    "boolean": (bool, "true or false"),
    "array": (list, "a list of texts"),
    "object": (dict, "a table"),
}


def schema_text() -> str:
    """The JSON schema (2020-12) of ``kitbag.toml``."""
    file = resources.files("kitbag_packer.recipes") / "kitbag.schema.json"
    return file.read_text(encoding="utf-8")


@functools.cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text())
    return schema


def check_shape(document: Mapping[str, Any], source: str) -> None:
    """Refuse an unknown or missing key or a wrong type; raises :class:`RecipeError`.

    ``source`` is what messages call the file.
    """
    _check(document, _schema(), source, ())


def place(*path: str) -> str:
    """A key as messages name it: ``[bundle] python``, ``[target.windows-x86_64]``.

    An environment is known by its name or, before it has one, by its number.
    """
    if path[:1] == ("environment",):
        return " ".join(["[[environment]]", *path[1:]])
    names = ["target." + path[1], *path[2:]] if path[:1] == ("target",) and path[1:] else [*path]
    return " ".join([f"[{names[0]}]", *names[1:]])


def _check(value: Any, schema: Mapping[str, Any], source: str, path: tuple[str, ...]) -> None:
    kind, called = _TYPES[schema["type"]]
    if schema.get("items", {}).get("type") == "object":
        _check_tables(value, schema["items"], source, path)
        return
    if not isinstance(value, kind):
        raise RecipeError(f"{source}: {place(*path)} must be {called}")
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        raise RecipeError(f"{source}: {place(*path)} is empty; write something or leave it out")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            raise RecipeError(f"{source}: {place(*path)} is empty; name at least one")
        for each in value:
            if not isinstance(each, str):
                raise RecipeError(f"{source}: {place(*path)} must be {called}, not {each!r}")
            _check(each, schema["items"], source, path)
    if isinstance(value, dict):
        _check_table(value, schema, source, path)


def _check_tables(
    value: Any, schema: Mapping[str, Any], source: str, path: tuple[str, ...]
) -> None:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise RecipeError(f"{source}: {path[-1]} must be tables, each below its own {place(*path)}")
    for number, table in enumerate(value, 1):
        _check_table(table, schema, source, (*path, str(number)))


def _check_table(
    table: Mapping[str, Any], schema: Mapping[str, Any], source: str, path: tuple[str, ...]
) -> None:
    known: Mapping[str, Any] = schema.get("properties", {})
    others = schema["additionalProperties"]
    for name, value in table.items():
        if name not in known and others is False:
            raise RecipeError(f"{source}: {_unknown(name, known, path)}")
        _check(value, known.get(name, others), source, (*path, name))
    for name in schema.get("required", ()):
        if name not in table:
            raise RecipeError(f"{source}: {place(*path, name)} is missing; it has to be there")


def _unknown(name: str, known: Mapping[str, Any], path: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    advice = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"
    where = f"{place(*path)} has" if path else "there is"
    return f"{where} an unknown key {name!r}; {advice}"
