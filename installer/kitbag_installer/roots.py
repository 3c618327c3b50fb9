"""The root: the directory that holds installed builds, and the names of things in it.

::

    <root>/cpython-3.13.5-linux-x86_64-gnu/   a build; its receipt is in .kitbag/ inside
    <root>/cpython-3.13-linux-x86_64-gnu      the minor-version link
    <root>/.lock                              held by whoever changes the root, uv included
    <root>/.temp/kitbag-*                     work in progress; swept by the next run
    <root>/.kitbag/                           kitbag itself, and the list of links it made
    <root>/.gitignore                         as uv writes it

uv's layout, so both tools can share a root.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.platforms import this_system

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECEIPT_DIR = ".kitbag"
SCRATCH_PREFIX = "kitbag-"


@dataclass(frozen=True)
class Root:
    """A root by its absolute path. Links in the path are never resolved."""

    path: str

    @classmethod
    def at(cls, path: str) -> Root:
        """The root at ``path``, made absolute."""
        return cls(os.path.abspath(os.path.expanduser(path)))

    @property
    def lock_file(self) -> str:
        """The file that is locked, not its content."""
        return os.path.join(self.path, ".lock")

    @property
    def temp(self) -> str:
        """Where trees are made before they are renamed into place."""
        return os.path.join(self.path, ".temp")

    @property
    def own(self) -> str:
        """Where kitbag keeps itself."""
        return os.path.join(self.path, ".kitbag")

    def install_path(self, key: BuildKey) -> str:
        """The directory of one build."""
        return os.path.join(self.path, str(key))

    def minor_link(self, key: BuildKey) -> str:
        """The minor-version link that the build shares with its other patches."""
        return os.path.join(self.path, key.minor_key)

    def scratch(self, purpose: str) -> str:
        """A new name in the temporary directory; nothing is created."""
        return os.path.join(self.temp, f"{SCRATCH_PREFIX}{purpose}-{os.urandom(6).hex()}")

    def prepare(self) -> None:
        """Make the root and its temporary directory; raises :class:`FileSystemError`.

        What is made is noted first; see :mod:`kitbag_installer.footprint`.
        """
        from kitbag_installer.footprint import make_root

        try:
            for last in (False, False, True):
                try:
                    make_root(self)
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(self.temp)
                    self._ignore()
                    break
                except FileNotFoundError:
                    # Another process has just taken the root away, with the last build in it.
                    if last:
                        raise
            if not os.path.isdir(self.temp):
                raise FileExistsError
        except FileExistsError:
            # Another process was quicker, or a file stands where a directory must be.
            if not os.path.isdir(self.temp):
                raise FileSystemError(
                    f"{self.path}: not a directory; choose another root"
                ) from None
        except OSError as error:
            raise FileSystemError(
                f"{self.path}: can't be made the root ({error.strerror}); "
                "choose another with --root"
            ) from None

    def _ignore(self) -> None:
        ignore = os.path.join(self.path, ".gitignore")
        # An empty one is what a run left that was killed between the two system calls.
        if not os.path.lexists(ignore) or not os.lstat(ignore).st_size:
            with open(ignore, "w", encoding="ascii") as file:
                file.write("*")

    def builds(self) -> Iterator[BuildKey]:
        """Every installed build, kitbag's or not: real directories with a key for a name."""
        try:
            entries = sorted(os.scandir(self.path), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise FileSystemError(f"{self.path}: can't be read ({error.strerror})") from None
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                key = BuildKey.try_parse(entry.name)
                # uv understands short spellings too, but nobody makes them, and here a key is the
                # name of its directory.
                if key is not None and str(key) == entry.name:
                    yield key


def default_root(environ: Mapping[str, str], program: str = "") -> Root:
    """The root to use when nobody names one; raises :class:`UsageError` without a home.

    A kitbag that was left in a root (``program`` is its file) means that root.
    """
    chosen = environ.get("KITBAG_ROOT")
    if chosen:
        return Root.at(chosen)
    folder, name = os.path.split(os.path.abspath(program)) if program else ("", "")
    if name == "kitbag.pyz" and os.path.basename(folder) == ".kitbag":
        return Root(os.path.dirname(folder))
    data = environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(data):
        return Root.at(os.path.join(data, "kitbag", "python"))
    data = this_system.data_home(environ)
    if not data:
        raise UsageError("HOME is not set, so there is no default root; name one with --root DIR")
    return Root.at(os.path.join(data, "kitbag", "python"))


def default_bin_dir(environ: Mapping[str, str]) -> str:
    """The bin directory as uv chooses it: ``KITBAG_BIN_DIR``, XDG's, ``~/.local/bin``; or empty."""
    chosen = environ.get("KITBAG_BIN_DIR")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    chosen = environ.get("XDG_BIN_HOME", "")
    if os.path.isabs(chosen):
        return os.path.normpath(chosen)
    data = environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(data):
        return os.path.normpath(os.path.join(data, "..", "bin"))
    home = this_system.user_home(environ)
    return os.path.join(os.path.abspath(home), ".local", "bin") if home else ""
