"""The receipt of an environment, kept inside of it so that one rename commits both.

``<root>/envs/<name>/.kitbag/`` holds

- ``receipt.json``: what it is made of, where it came from and which place it was made for;
- ``contents.tsv``: every path of it with the SHA-256 of each file as installed, those of ``RECORD``
  included, in the form of a build's contents list (:mod:`kitbag_bundles.contents`);
- ``bytecode.tsv``, where kitbag compiled something, as in a build.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.errors import IntegrityError, UnsupportedFormat
from kitbag_bundles.keys import BuildKey
from kitbag_installer import receiptlists
from kitbag_installer.receiptlists import RECEIPT
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.contents import Entry
    from kitbag_installer.roots import Root

FORMAT = 1
CONTENTS = "contents.tsv"
_TEXTS = (
    *("name", "target", "python_version", "home", "base", "kitbag", "run"),
    *("contents_sha256", "bytecode_sha256"),
)


class InstalledWheel(NamedTuple):
    """One of the wheels in an environment."""

    filename: str
    name: str
    version: str
    sha256: str
    """SHA-256 of the wheel itself in hex."""


@dataclass(frozen=True)
class EnvironmentReceipt:
    """What stands in ``receipt.json``."""

    name: str
    target: str
    """``linux-x86_64-gnu``."""
    python: BuildKey
    """The build that it was made with; a later patch may have taken over since, see ``base``."""
    python_version: str
    home: str
    """The absolute path that its files were written for."""
    base: str
    """The absolute directory in which it looks for its interpreter: that of a build, or a
    minor-version link."""
    kitbag: str
    """The version that made it."""
    bundle: Mapping[str, str]
    """``name``, ``version``, ``kitbag``, ``digest``, as in the receipt of a build."""
    wheels: tuple[InstalledWheel, ...]
    """In bytewise order of their file names."""
    expose: tuple[str, ...]
    """The programs that have, or would have, names in the bin directory."""
    run: str
    """The program that ``kitbag run`` starts; empty where there is no such one."""
    programs: tuple[str, ...]
    """File names of all programs that its wheels brought, sorted."""
    placed: tuple[str, ...]
    """Paths of the files in which ``home`` or ``base`` stands, sorted: scripts, ``activate``,
    ``pyvenv.cfg``."""
    contents_sha256: str
    bytecode_sha256: str = ""
    """Digest of ``bytecode.tsv``, empty where there is none."""
    foreign: bool = False
    """Whether it was made for another place: its ``home`` is the path that it has there."""


def has_receipt(tree: str) -> bool:
    """Whether kitbag installed this environment."""
    return os.path.isfile(os.path.join(tree, RECEIPT_DIR, RECEIPT))


def is_ours(tree: str) -> bool:
    """Whether kitbag installed this environment, also one that has lost its receipt since."""
    return os.path.isdir(os.path.join(tree, RECEIPT_DIR))


def receipt_or_none(tree: str) -> EnvironmentReceipt | None:
    """``receipt.json``, or ``None`` where it is lost or damaged."""
    try:
        return read_receipt(tree)
    except IntegrityError:
        return None


def write_receipt(tree: str, receipt: EnvironmentReceipt, contents: bytes) -> None:
    """Write the files into ``tree``, which must not have a receipt yet; raises OSError."""
    folder = os.path.join(tree, RECEIPT_DIR)
    os.mkdir(folder, 0o755)
    for name, data in ((CONTENTS, contents), (RECEIPT, receipt_text(receipt))):
        with open(os.path.join(folder, name), "xb") as file:
            file.write(data)


def receipt_text(receipt: EnvironmentReceipt) -> bytes:
    """The bytes of ``receipt.json``."""
    import json

    table = {name.replace("_", "-"): value for name, value in vars(receipt).items()}
    table["python"] = str(receipt.python)
    table["wheels"] = [wheel._asdict() for wheel in receipt.wheels]
    text = json.dumps({"format": FORMAT, **table}, indent=1, sort_keys=True) + "\n"
    return text.encode("ascii")


def read_receipt(tree: str) -> EnvironmentReceipt:
    """Read ``receipt.json``; raises :class:`IntegrityError` if it is damaged or too new."""
    import json

    path = os.path.join(tree, RECEIPT_DIR, RECEIPT)
    try:
        with open(path, encoding="ascii") as file:
            table = json.load(file)
        if table["format"] > FORMAT:
            raise UnsupportedFormat(f"{path}: written by a newer kitbag; use that one")
        return _receipt(table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path}: the receipt can't be read ({error!r}); mend it with "
            f"'kitbag repair BUNDLE {os.path.basename(tree)}'"
        ) from None


def _receipt(table: dict[str, Any]) -> EnvironmentReceipt:
    fields: dict[str, Any] = {name: table[name.replace("_", "-")] for name in _TEXTS}
    for name, value in fields.items():
        if not isinstance(value, str):
            raise ValueError(f"it has {value!r} for {name!r}")
    key = BuildKey.try_parse(table["python"])
    if key is None:
        raise ValueError(f"it has {table['python']!r} for its build")
    for name in ("expose", "programs", "placed"):
        fields[name] = _texts(name, table[name])
    bundle = table["bundle"]
    _texts("bundle", list(bundle.values()))
    wheels = tuple(InstalledWheel(**wheel) for wheel in table["wheels"])
    for wheel in wheels:
        _texts("wheels", list(wheel))
    if not isinstance(table["foreign"], bool):
        raise ValueError(f"it has {table['foreign']!r} for 'foreign'")
    return EnvironmentReceipt(
        python=key, bundle=bundle, wheels=wheels, foreign=table["foreign"], **fields
    )


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"it has {value!r} for {name!r}")
    return tuple(value)


def read_contents(tree: str, receipt: EnvironmentReceipt) -> tuple[Entry, ...]:
    """Every path as it was installed, bytecode left out; raises :class:`IntegrityError`."""
    from kitbag_bundles.contents import parse

    data = receiptlists.read_list(tree, CONTENTS, receipt.contents_sha256)
    return parse(data, os.path.join(tree, RECEIPT_DIR, CONTENTS))


def keep_bytecode(root: Root, tree: str, digests: Mapping[str, str]) -> None:
    """Let the receipt of ``tree`` list ``digests`` for its compiled files; raises OSError."""
    receiptlists.keep_bytecode(root, tree, read_receipt(tree), receipt_text, digests)
