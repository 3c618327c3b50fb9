"""The receipt: what an install wrote, kept inside the tree so that one rename commits both.

``<root>/<key>/.kitbag/`` holds

- ``receipt.json``: the build, where it came from and where it was rewritten for, the digest of
  every file that is not as the archive has it;
- ``contents.tsv``: the build's contents list, the pristine state;
- ``originals.json.gz``: the pristine text of every rewritten file, by path, so that a tree can be
  rewritten again after a move.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles.contents import parse as parse_contents
from kitbag_bundles.errors import IntegrityError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitbag_bundles.contents import Entry

FORMAT = 1
RECEIPT = "receipt.json"
CONTENTS = "contents.tsv"
ORIGINALS = "originals.json.gz"


@dataclass(frozen=True)
class Receipt:
    """What stands in ``receipt.json``.

    ``home`` is the absolute path that the tree was rewritten for. ``changed`` maps the path of
    each rewritten file to its sha256 now, ``added`` those of files that the archive does not have;
    ``added_links`` maps links to their targets. ``bundle`` names the bundle: ``name``, ``version``,
    the ``kitbag`` that made it and ``digest`` (that of its comment, empty for the directory form).
    ``source`` is the archive: ``member``, ``sha256``, ``url``.
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


def write_receipt(tree: str, receipt: Receipt, contents: bytes, originals: bytes) -> None:
    """Write the three files into ``tree``, which must not have a receipt yet."""
    import json

    folder = os.path.join(tree, RECEIPT_DIR)
    os.mkdir(folder, 0o755)
    table = {name.replace("_", "-"): value for name, value in vars(receipt).items()}
    table["key"] = str(receipt.key)
    text = json.dumps({"format": FORMAT, **table}, indent=1, sort_keys=True) + "\n"
    for name, data in (
        (CONTENTS, contents),
        (ORIGINALS, originals),
        (RECEIPT, text.encode("ascii")),
    ):
        with open(os.path.join(folder, name), "xb") as file:
            file.write(data)


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
            raise IntegrityError(f"{path}: written by a newer kitbag; use that one")
        fields: dict[str, Any] = {
            name: table[name.replace("_", "-")] for name in Receipt.__dataclass_fields__
        }
        for name, value in fields.items():
            if not _is_text_or_texts(name, value):
                raise ValueError(f"it has {value!r} for {name!r}")
        key = BuildKey.try_parse(fields["key"])
        if key is None:
            raise ValueError(f"it has {fields['key']!r} for its key")
        return Receipt(**{**fields, "key": key})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path}: the receipt can't be read ({error!r}); "
            "install the build again with --reinstall"
        ) from None


def _is_text_or_texts(name: str, value: object) -> bool:
    if name not in ("bundle", "source", "changed", "added", "added_links"):
        return isinstance(value, str)
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def read_contents(tree: str, receipt: Receipt) -> tuple[Entry, ...]:
    """The pristine contents list; raises :class:`IntegrityError` if it was changed."""
    path = os.path.join(tree, RECEIPT_DIR, CONTENTS)
    return parse_contents(_checked(path, receipt.contents_sha256), path)


def read_originals(tree: str, receipt: Receipt) -> dict[str, bytes]:
    """The pristine bytes of the rewritten files; raises :class:`IntegrityError`."""
    import json
    import zlib

    path = os.path.join(tree, RECEIPT_DIR, ORIGINALS)
    data = zlib.decompress(_checked(path, receipt.originals_sha256), 31)
    return {
        name: text.encode("utf-8", "surrogateescape") for name, text in json.loads(data).items()
    }


def pack_originals(originals: Mapping[str, bytes]) -> bytes:
    """The bytes of ``originals.json.gz``."""
    import json
    import zlib

    texts = {name: data.decode("utf-8", "surrogateescape") for name, data in originals.items()}
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    data = json.dumps(texts, indent=0, sort_keys=True).encode("ascii")
    return packer.compress(data) + packer.flush()


def _checked(path: str, sha256: str) -> bytes:
    import hashlib

    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise IntegrityError(
            f"{path}: can't be read ({error.strerror}); install the build again with --reinstall"
        ) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError(
            f"{path}: differs from its receipt; install the build again with --reinstall"
        )
    return data
