"""Tells by its content what kind of list a file is, and says plainly when it is none."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from kitbag_packer.catalogs.checksums import local_files, looks_like_sums, parse_sums, remote_files
from kitbag_packer.catalogs.files import FilesCatalog
from kitbag_packer.catalogs.index import IndexCatalog, check_end, is_record
from kitbag_packer.catalogs.naming import is_remote
from kitbag_packer.catalogs.uvlist import UvListCatalog, is_entry
from kitbag_packer.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kitbag_bundles.keys import Version
    from kitbag_packer.catalogs.files import Unversioned
    from kitbag_packer.catalogs.model import Catalog

LARGEST = 64 * 1024 * 1024
"""Bytes; a larger file is no list."""

_ARCHIVES = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")


def read_list(
    data: bytes,
    *,
    name: str,
    date: str = "",
    url: str = "",
    folder: Path | None = None,
    identify: Callable[[Unversioned], Version | None],
) -> Catalog:
    """The catalog that ``data`` is; ``name`` is what messages call it.

    It came from ``url``, or lies in ``folder``, where archives of a SHA256SUMS are sought. Raises
    :class:`CatalogError` that says what it is instead.
    """
    digest = hashlib.sha256(data).hexdigest()
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        remote = is_remote(url)
        found = _read_object(text, name)
        if found is None:
            return IndexCatalog(text, name=name, digest=digest, date=date, remote=remote)
        return UvListCatalog(found, name=name, digest=digest, date=date, remote=remote)
    if looks_like_sums(text):
        sums = parse_sums(text, name)
        files = local_files(sums, folder) if folder is not None else remote_files(sums, url)
        catalog = FilesCatalog(files, name=name, digest=digest, date=date, identify=identify)
        if not len(catalog):
            raise CatalogError(f"{name}: lists no archive of a Python by a name that kitbag knows")
        return catalog
    raise _refusal(text, name)


def looks_like_archive(data: bytes) -> bool:
    """Whether ``data`` begins as an archive does."""
    return data.startswith(_ARCHIVES)


def _read_object(text: bytes, name: str) -> dict[str, Any] | None:
    """The table of a list of uv's; ``None`` for an index, whose ends are looked at."""
    import json

    first = text[: text.find(b"\n") + 1] or text
    try:
        begin = json.loads(first)
    except (ValueError, RecursionError):
        begin = None
    if is_record(begin):
        check_end(text, name)
        return None
    table = begin if begin is not None and len(first) == len(text) else _parse(text, name)
    if not isinstance(table, dict) or not any(map(is_entry, table.values())):
        if isinstance(table, dict) and "version" in table:
            raise CatalogError(
                f"{name}: is of a newer format than kitbag knows (it has a version, "
                f"{str(table['version'])[:20]!r}); use an older list, or a newer kitbag"
            )
        raise CatalogError(
            f"{name}: is JSON, but no list of builds; give uv's download-metadata.json or the "
            "NDJSON index of python-build-standalone"
        )
    return table


def _parse(text: bytes, name: str) -> object:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CatalogError(
            f"{name}: line {error.lineno} is cut off or damaged ({error.msg}); fetch the list again"
        ) from None
    except (ValueError, RecursionError):
        raise CatalogError(f"{name}: is damaged, or no list of builds; fetch it again") from None


def _refusal(text: bytes, name: str) -> CatalogError:
    if not text:
        return CatalogError(f"{name}: is empty; fetch the list again")
    if looks_like_archive(text):
        return CatalogError(
            f"{name}: is an archive; pack it with --from, or name the directory that it is in"
        )
    if text.startswith(b"<"):
        return CatalogError(
            f"{name}: is a web page and not a list of builds; check the address (one of a "
            "directory ends in /), and whether the network asks for a login"
        )
    if text.startswith(b"["):
        _parse(text, name)
        return CatalogError(
            f"{name}: is JSON, but no list of builds that has digests; give uv's "
            "download-metadata.json or the NDJSON index of python-build-standalone"
        )
    return CatalogError(
        f"{name}: is no list of builds; known are uv's download-metadata.json, the NDJSON index of "
        "python-build-standalone, and SHA256SUMS"
    )
