"""The receipt: what an install wrote, kept inside the tree so that one rename commits both.

``<root>/<key>/.kitbag/`` holds

- ``receipt.json``: the build, where it came from and where it was rewritten for, the digest of
  every file that is not as the archive has it;
- ``contents.tsv``: the build's contents list, the pristine state;
- ``originals.json.gz``: the pristine text of every rewritten file, by path, so that a tree can be
  rewritten again after a move;
- ``bytecode.tsv``, where kitbag compiled something of the build or brought it along, see
  :mod:`kitbag_installer.receiptlists`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles.contents import parse as parse_contents
from kitbag_bundles.errors import IntegrityError, UnsupportedFormat
from kitbag_bundles.keys import BuildKey
from kitbag_installer import receiptlists
from kitbag_installer.receiptlists import BYTECODE, RECEIPT
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.contents import Entry
    from kitbag_installer.roots import Root

FORMAT = 1
CONTENTS = "contents.tsv"
ORIGINALS = "originals.json.gz"


_LATER = ("bytecode_sha256", "foreign")
"""What receipts of the first kitbag do not have."""


@dataclass(frozen=True)
class Receipt:
    """What stands in ``receipt.json``.

    ``home`` is the absolute path that the tree was rewritten for. ``changed`` maps the path of
    each rewritten file to its sha256 now, ``added`` those of files that the archive does not have;
    ``added_links`` maps links to their targets. ``bundle`` names the bundle: ``name``, ``version``,
    the ``kitbag`` that made it and ``digest`` (that of its comment, empty for the directory form).
    ``source`` is the archive: ``member``, ``sha256``, ``url``. ``bytecode_sha256`` is the digest of
    ``bytecode.tsv``, empty where there is none. ``foreign`` is a build that was installed for
    another machine: its ``home`` is the path it has there.
    """

    key: BuildKey
    home: str
    kitbag: str
    release: str
    flavor: str
    bundle: Mapping[str, str]
    source: Mapping[str, str]
    contents_sha256: str
    originals_sha256: str
    changed: Mapping[str, str]
    added: Mapping[str, str]
    added_links: Mapping[str, str]
    bytecode_sha256: str = ""
    foreign: bool = False


def write_receipt(
    tree: str, receipt: Receipt, contents: bytes, originals: bytes, bytecode: bytes = b""
) -> None:
    """Write the files into ``tree``, which must not have a receipt yet."""
    folder = os.path.join(tree, RECEIPT_DIR)
    os.mkdir(folder, 0o755)
    for name, data in (
        (CONTENTS, contents),
        (ORIGINALS, originals),
        *([(BYTECODE, bytecode)] if bytecode else []),
        (RECEIPT, _text(receipt)),
    ):
        with open(os.path.join(folder, name), "xb") as file:
            file.write(data)


def _text(receipt: Receipt) -> bytes:
    import json

    table = {name.replace("_", "-"): value for name, value in vars(receipt).items()}
    table["key"] = str(receipt.key)
    text = json.dumps({"format": FORMAT, **table}, indent=1, sort_keys=True) + "\n"
    return text.encode("ascii")


def keep_bytecode(root: Root, tree: str, digests: Mapping[str, str]) -> None:
    """Let the receipt of ``tree`` list ``digests`` for its compiled files; raises OSError."""
    receiptlists.keep_bytecode(root, tree, read_receipt(tree), _text, digests)


def has_receipt(tree: str) -> bool:
    """Whether kitbag installed this tree."""
    return os.path.isfile(os.path.join(tree, RECEIPT_DIR, RECEIPT))


def read_receipt(tree: str) -> Receipt:
    """Read ``receipt.json``; raises :class:`IntegrityError` if it is damaged or too new."""
    import json

    path = os.path.join(tree, RECEIPT_DIR, RECEIPT)
    try:
        with open(path, encoding="ascii") as file:
            table = json.load(file)
        if table["format"] > FORMAT:
            raise UnsupportedFormat(f"{path}: written by a newer kitbag; use that one")
        fields: dict[str, Any] = {
            name: table[name.replace("_", "-")]
            for name in Receipt.__dataclass_fields__
            if name.replace("_", "-") in table or name not in _LATER
        }
        for name, value in fields.items():
            if not _is_text_or_texts(name, value):
                raise ValueError(f"it has {value!r} for {name!r}")
        key = BuildKey.try_parse(fields["key"])
        if key is None:
            raise ValueError(f"it has {fields['key']!r} for its key")
        return Receipt(**{**fields, "key": key})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(
            f"{path}: the receipt can't be read ({error!r}); mend it with 'kitbag repair BUNDLE'"
        ) from None


def _is_text_or_texts(name: str, value: object) -> bool:
    if name == "foreign":
        return isinstance(value, bool)
    if name not in ("bundle", "source", "changed", "added", "added_links"):
        return isinstance(value, str)
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def read_contents(tree: str, receipt: Receipt) -> tuple[Entry, ...]:
    """The pristine contents list; raises :class:`IntegrityError` if it was changed."""
    data = receiptlists.read_list(tree, CONTENTS, receipt.contents_sha256)
    return parse_contents(data, os.path.join(tree, RECEIPT_DIR, CONTENTS))


def read_originals(tree: str, receipt: Receipt) -> dict[str, bytes]:
    """The pristine bytes of the rewritten files; raises :class:`IntegrityError`."""
    data = receiptlists.read_list(tree, ORIGINALS, receipt.originals_sha256)
    return unpack_originals(data)


def unpack_originals(data: bytes) -> dict[str, bytes]:
    """Read ``originals.json.gz``; raises :class:`ValueError` for what it can't be."""
    import json
    import zlib

    try:
        texts = json.loads(zlib.decompress(data, 31))
        return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}
    except (zlib.error, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def pack_originals(originals: Mapping[str, bytes]) -> bytes:
    """The bytes of ``originals.json.gz``."""
    import json
    import zlib

    texts = {name: data.decode("utf-8", "surrogateescape") for name, data in originals.items()}
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    data = json.dumps(texts, indent=0, sort_keys=True).encode("ascii")
    return packer.compress(data) + packer.flush()
