"""The builds that the package pbs-installer knows: CPython and PyPy, for the usual machines.

Only its data is read; its code, which a variable of the environment can turn elsewhere, is not
even imported. A row's file name says what the archive is, the table adds PyPy's full version.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kitbag_bundles.keys import BuildKey, Version
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.catalogs.naming import (
    NameReader,
    canonical_address,
    digest_of,
    filename_of,
    is_address,
    size_of,
)
from kitbag_packer.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.catalogs.model import Interest
    from kitbag_packer.upstream import UpstreamName

_PACKAGE = "pbs_installer"
_DATA = "versions.json"
_RELEASE = re.compile(rb"/download/(\d{8})/")


class EmbeddedCatalog:
    """What is there without any network."""

    name = "embedded"

    def __init__(self, data: bytes | None = None) -> None:
        """``data`` is the table; by default that of the installed package, read when needed."""
        self._given = data
        self._names = NameReader()

    @cached_property
    def _data(self) -> bytes:
        return self._given if self._given is not None else _package_data()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the table."""
        return hashlib.sha256(self._data).hexdigest()

    @cached_property
    def date(self) -> str:
        """The day of the newest release in the table."""
        newest = max(_RELEASE.findall(self._data), default=b"").decode("ascii")
        return f"{newest[:4]}-{newest[4:6]}-{newest[6:]}" if newest else ""

    def offers(self, interest: Interest) -> Iterator[Offer]:
        """The archives of interest; a row that can't be a build's is left out."""
        machines = None
        if interest.targets is not None:
            machines = {(target.os, target.cpu) for target in interest.targets}
        for row in self._rows():
            version = _version(row.get("python_version"))
            implementation = (row.get("python_version") or {}).get("implementation")
            files = row.get("files")
            if version is None or not isinstance(implementation, str):
                continue
            if not interest.in_version(implementation, version) or not isinstance(files, list):
                continue
            for file in files:
                if not isinstance(file, dict):
                    continue
                machine = (file.get("platform"), file.get("arch"))
                if machines is None or machine in machines:
                    offer = self._offer(implementation, version, file)
                    if offer is not None:
                        yield offer

    def _rows(self) -> Iterator[dict[str, Any]]:
        import json

        try:
            table = json.loads(self._data)
        except (ValueError, RecursionError):
            table = None
        if not isinstance(table, list):
            raise CatalogError(
                "the list of builds in the package pbs-installer can't be read; "
                "install another version of it, or name a list with --catalog"
            )
        for row in table:
            if isinstance(row, dict) and isinstance(row.get("python_version"), dict):
                yield row

    def _offer(self, implementation: str, version: Version, file: dict[str, Any]) -> Offer | None:
        url = file.get("url")
        if not isinstance(url, str) or not is_address(url):
            return None
        filename = filename_of(url)
        name = self._names.read(filename)
        if name is None or name.implementation != implementation or not name.admits(version):
            return None
        return offer_of(name, version, filename=filename, url=url, file=file, catalog=self.name)


def offer_of(
    name: UpstreamName,
    version: Version,
    *,
    filename: str,
    url: str,
    file: dict[str, Any],
    catalog: str,
) -> Offer | None:
    """The offer of an archive whose name is understood; ``file`` may hold ``sha256``, ``size``."""
    try:
        canonical = canonical_address(url, filename)
    except ValueError:
        return None
    return Offer(
        key=BuildKey(name.implementation, version, name.variant, name.target),
        filename=filename,
        url=url,
        canonical=canonical,
        sha256=digest_of(file.get("sha256")),
        size=size_of(file.get("size")),
        flavor=name.flavor,
        release=name.release,
        options=name.options,
        catalog=catalog,
    )


def _version(table: object) -> Version | None:
    if not isinstance(table, dict):
        return None
    numbers = [
        number
        for field in ("major", "minor", "micro")
        if type(number := table.get(field)) is int and 0 <= number < 10_000
    ]
    return Version(numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _package_data() -> bytes:
    from importlib.util import find_spec

    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            with open(os.path.join(folder, _DATA), "rb") as file:
                return file.read()
        except OSError:
            continue
    raise CatalogError(
        "the list of builds that comes with kitbag is not there; "
        "install a newer version of the package pbs-installer, or name a list with --catalog"
    )
