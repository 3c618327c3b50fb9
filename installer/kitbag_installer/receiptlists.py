"""The lists beside a receipt, which has their digests: read as it has them, or not at all.

One of them, ``bytecode.tsv``, has a line for each compiled file, ``<sha256> TAB <path>``, in
bytewise order, paths spelled as in a contents list (:mod:`kitbag_bundles.contents`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import stat
from typing import TYPE_CHECKING, TypeVar

from kitbag_bundles.contents import path_bytes, read_path, spell_path
from kitbag_bundles.errors import IntegrityError
from kitbag_installer.files import replace_file
from kitbag_installer.roots import RECEIPT_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.receipts import Receipt
    from kitbag_installer.roots import Root

    AnyReceipt = TypeVar("AnyReceipt", Receipt, EnvironmentReceipt)

RECEIPT = "receipt.json"
BYTECODE = "bytecode.tsv"


def read_list(tree: str, name: str, sha256: str) -> bytes:
    """The bytes of ``<tree>/.kitbag/<name>``; raises :class:`IntegrityError` for other ones."""
    path = os.path.join(tree, RECEIPT_DIR, name)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
    else:
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        problem = "differs from its receipt"
    raise IntegrityError(f"{path}: {problem}; mend it with 'kitbag repair BUNDLE'")


def read_bytecode(tree: str, receipt: Receipt | EnvironmentReceipt) -> dict[str, str]:
    """The digests of the compiled files that kitbag made, by path; raises :class:`IntegrityError`.

    Empty where it made none.
    """
    if not receipt.bytecode_sha256:
        return {}
    return parse_bytecode(read_list(tree, BYTECODE, receipt.bytecode_sha256))


def keep_bytecode(
    root: Root,
    tree: str,
    receipt: AnyReceipt,
    render: Callable[[AnyReceipt], bytes],
    digests: Mapping[str, str],
) -> None:
    """Let ``receipt`` of ``tree``, a file that ``render`` makes, have ``digests``.

    It is right at any moment: it has none while their list changes. Raises :class:`OSError`.
    """
    data = pack_bytecode(digests)
    sha256 = hashlib.sha256(data).hexdigest() if data else ""
    if sha256 == receipt.bytecode_sha256 and _is_there(tree, sha256):
        return
    folder = os.path.join(tree, RECEIPT_DIR)
    list_path, path = os.path.join(folder, BYTECODE), os.path.join(folder, RECEIPT)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if receipt.bytecode_sha256:
        forgetful = dataclasses.replace(receipt, bytecode_sha256="")
        replace_file(root, path, render(forgetful), mode)
    if data:
        replace_file(root, list_path, data, mode)
        known = dataclasses.replace(receipt, bytecode_sha256=sha256)
        replace_file(root, path, render(known), mode)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(list_path)


def _is_there(tree: str, sha256: str) -> bool:
    """Whether the list of compiled files is the one with this digest; empty for none."""
    if not sha256:
        return True
    try:
        read_list(tree, BYTECODE, sha256)
    except IntegrityError:
        return False
    return True


def parse_bytecode(data: bytes) -> dict[str, str]:
    """Read ``bytecode.tsv``; raises :class:`ValueError` for what it can't be."""
    lines = data.decode("utf-8").split("\n")[:-1]
    pairs = (line.partition("\t") for line in lines)
    return {read_path(path) if "\\" in path else path: digest for digest, _, path in pairs}


def pack_bytecode(digests: Mapping[str, str]) -> bytes:
    """The bytes of ``bytecode.tsv``; empty for no files, which means that there is none."""
    lines = sorted((path_bytes(path), path, digest) for path, digest in digests.items())
    return b"".join(
        digest.encode("ascii") + b"\t" + spell_path(path) + b"\n" for _, path, digest in lines
    )
