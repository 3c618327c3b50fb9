"""Opens what ``--catalog`` names: files, folders, addresses, and the two that have names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_packer.catalogs.checksums import NAME as SUMS
from kitbag_packer.catalogs.checksums import looks_like_sums, parse_sums, remote_files
from kitbag_packer.catalogs.embedded import EmbeddedCatalog
from kitbag_packer.catalogs.files import FilesCatalog
from kitbag_packer.catalogs.folder import digest_of_files, listed, scan
from kitbag_packer.catalogs.formats import LARGEST, looks_like_archive, read_list
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.naming import is_address, is_remote, looks_like_address
from kitbag_packer.catalogs.refreshing import refresh
from kitbag_packer.catalogs.storage import Storage
from kitbag_packer.errors import CatalogError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_bundles.keys import Version
    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.catalogs.files import ListedFile, Unversioned
    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.catalogs.storage import StoredList
    from kitbag_packer.downloads.settings import DownloadSettings


def open_catalogs(
    given: Sequence[str],
    *,
    cache_dir: Path,
    settings: DownloadSettings,
    reporter: Reporter,
) -> tuple[Catalog, ...]:
    """The catalogs that ``given`` names, in its order; by default the stored ones and embedded.

    Each is a path, a directory, an address (that of a directory ends in ``/``), ``embedded`` or
    ``stored``. Raises :class:`CatalogError`, :class:`DownloadError`, :class:`OfflineError`.
    """
    opener = _Opener(cache_dir, settings, reporter)
    if not given:
        return (*opener.stored(), EmbeddedCatalog())
    return tuple(catalog for text in given for catalog in opener.open(text))


def check_list(data: bytes, url: str) -> int:
    """How many archives the list that came from ``url`` has; raises :class:`CatalogError`."""
    from kitbag_packer.downloads.addresses import shown

    catalog = read_list(data, name=shown(url), url=url, identify=lambda _: None)
    count = sum(1 for _ in catalog.offers(Interest()))
    count += sum(1 for _ in getattr(catalog, "unversioned", lambda _: ())(Interest()))
    if not count:
        raise CatalogError(f"{shown(url)}: lists no archive that kitbag can use")
    return count


def open_stored(stored: StoredList) -> Catalog:
    """The catalog of a stored list."""
    return read_list(
        stored.data,
        name=stored.url,
        date=stored.fetched,
        url=stored.url,
        identify=lambda _: None,
    )


class _Opener:
    def __init__(self, cache_dir: Path, settings: DownloadSettings, reporter: Reporter) -> None:
        self._cache_dir = cache_dir
        self._settings = settings
        self._reporter = reporter
        self._storage = Storage(cache_dir, reporter)

    def open(self, text: str) -> Sequence[Catalog]:
        """The catalogs that one ``--catalog`` names."""
        if text == "embedded":
            return (EmbeddedCatalog(),)
        if text == "stored":
            found = self.stored()
            if not found:
                raise CatalogError("no list of builds is stored; run kitbag catalog update first")
            return found
        if is_remote(text):
            return (self._remote_folder(text) if text.endswith("/") else self._remote_list(text),)
        if is_address(text):
            from kitbag_packer.downloads.addresses import local_path

            return (self._local(Path(local_path(text))),)
        if not text:
            raise CatalogError("--catalog is empty; name a file, a directory or an address")
        if looks_like_address(text):
            # Not taken for a path: as such it would be told with the credentials in it.
            raise CatalogError(
                "--catalog has an address that kitbag can't use; it begins with http://, https:// "
                "or file:/// and may end in / for a directory"
            )
        return (self._local(Path(os.path.abspath(os.path.expanduser(text)))),)

    def stored(self) -> list[Catalog]:
        """The stored lists; one that this kitbag can't read is left out with a warning."""
        found = []
        for stored in self._storage.used():
            try:
                found.append(open_stored(stored))
            except CatalogError as error:
                self._reporter.warn(f"the stored list is not used: {error}")
        return found

    def _local(self, path: Path) -> Catalog:
        if path.is_dir():
            return self._local_folder(path)
        try:
            with open(path, "rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            raise CatalogError(
                f"{path}: there is no such file; name a file, a directory, an address, "
                "'stored' or 'embedded'"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CatalogError(f"{path}: can't be read ({reason}); name another file") from None
        if len(data) > LARGEST and not looks_like_archive(data):
            raise CatalogError(
                f"{path}: has more than {LARGEST >> 20} MiB, so it is no list of builds; "
                "name another file"
            )
        return read_list(data, name=str(path), folder=path.parent, identify=self._look_inside)

    def _local_folder(self, path: Path) -> Catalog:
        files = scan(path)
        catalog = self._files(files, str(path), path.as_uri() + "/", self._look_inside)
        if not len(catalog):
            raise CatalogError(
                f"{path}: has no archive of a Python by a name that kitbag knows, here or two "
                f"levels below; name another directory, or a list such as {SUMS}"
            )
        return catalog

    def _remote_list(self, url: str) -> Catalog:
        from kitbag_packer.downloads.addresses import shown

        data, date = self._fetch(url, lambda data: check_list(data, url))
        return read_list(data, name=shown(url), date=date, url=url, identify=self._tell_of)

    def _remote_folder(self, url: str) -> Catalog:
        from kitbag_packer.downloads.addresses import shown

        name = shown(url)
        files, date = self._remote_sums(url, name)
        if not len(self._files(files, name, url, _nobody)):
            page, date = self._fetch(url, lambda data: self._check_page(data, url, name))
            files = listed(page, url)
        return self._files(files, name, url, self._tell_of, date)

    def _remote_sums(self, url: str, name: str) -> tuple[list[ListedFile], str]:
        def check(data: bytes) -> None:
            if not looks_like_sums(data):
                raise CatalogError(f"{name}{SUMS}: is no list of digests")
            parse_sums(data, name + SUMS)

        place = urljoin(url, SUMS)
        try:
            data, date = self._fetch(place, check)
        except (DownloadError, CatalogError):
            # Many servers have none; the page of the folder itself says what is wrong otherwise.
            return [], ""
        return remote_files(parse_sums(data, name + SUMS), place), date

    def _check_page(self, data: bytes, url: str, name: str) -> None:
        if not len(self._files(listed(data, url), name, url, _nobody)):
            raise CatalogError(
                f"{name}: has neither a {SUMS} nor links to archives of Pythons by names that "
                "kitbag knows; check the address"
            )

    def _fetch(self, url: str, check: Callable[[bytes], object]) -> tuple[bytes, str]:
        found = refresh(url, self._storage, self._settings, check, tell=self._reporter.info)
        if found.problem is not None:
            self._reporter.warn(f"{found.problem}; using the copy of {found.date}")
        return found.data, found.date

    def _files(
        self,
        files: list[ListedFile],
        name: str,
        base: str,
        identify: Callable[[Unversioned], Version | None],
        date: str = "",
    ) -> FilesCatalog:
        return FilesCatalog(
            files, name=name, digest=digest_of_files(files, base), date=date, identify=identify
        )

    def _look_inside(self, unversioned: Unversioned) -> Version | None:
        """The version of an archive on this machine; what was found is remembered."""
        file = unversioned.file
        if file.path is None:
            self._tell_of(unversioned)
            return None
        from kitbag_packer.cache.memory import Memory
        from kitbag_packer.inspection import inspect_archive

        try:
            memory = Memory(self._cache_dir)
            digest = file.sha256 or _digest(file.path)
            found = memory.recall(digest, file.filename, None)
            if found is None:
                found = inspect_archive(file.path, filename=file.filename, reporter=self._reporter)
                memory.remember(found, file.filename, None)
        except UsageError:
            # It is whole and does not say its version.
            self._tell_of(unversioned)
            return None
        except (KitbagError, OSError) as error:
            self._reporter.warn(f"{file.path} is left out: {error}")
            return None
        return found.key.version

    def _tell_of(self, unversioned: Unversioned) -> None:
        self._reporter.warn(
            f"{unversioned.catalog}: {unversioned.file.filename} is left out, since nothing here "
            "tells its full version; name a list that does after it, such as --catalog embedded"
        )


def _nobody(unversioned: Unversioned) -> None:
    return None


def _digest(path: Path) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
