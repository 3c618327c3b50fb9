"""Builds that are for another machine, or for another place than the one where they are now.

A root can be made on one machine for another: an image that will be copied or mounted there, a
share that several kinds of machines use. Such builds are rewritten for the path that they will
have, not tested if they can't run here, and nothing of this machine leads to them. Once they are
at that path, on a machine that they are for, they are like any other.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
from typing import TYPE_CHECKING

from kitbag_bundles.errors import DoesNotFit, IntegrityError, UsageError
from kitbag_installer.receipts import has_receipt, read_receipt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root


def seen_home(root: Root, key: BuildKey, seen_as: str) -> str:
    """The path that the build will have: below ``seen_as``, or where it is if that is empty."""
    if not seen_as:
        return root.install_path(key)
    if is_windows_path(seen_as):
        return ntpath.join(seen_as, str(key))
    return posixpath.join(seen_as, str(key))


def is_windows_path(path: str) -> bool:
    r"""Whether ``path`` is an absolute path of Windows: ``C:\py``, ``\\server\share``."""
    return not path.startswith("/") and bool(ntpath.splitdrive(path)[0]) and ntpath.isabs(path)


def check_seen_as(seen_as: str, keys: Iterable[BuildKey]) -> str:
    """``seen_as``, normal and fit for all ``keys``; raises :class:`UsageError`."""
    from kitbag_installer.rewriting.prefix import check_home

    if is_windows_path(seen_as):
        others = [key for key in keys if key.target.os != "windows"]
        if others:
            raise UsageError(
                f"--seen-as {seen_as} is a path of Windows, and {others[0]} is for "
                f"{others[0].target.os}; install what has different roots in separate calls"
            )
        return ntpath.normpath(seen_as)
    if not seen_as.startswith("/"):
        raise UsageError(f"--seen-as {seen_as!r} is not absolute; give the full path of the root")
    normal = "/" + posixpath.normpath(seen_as).lstrip("/")
    if normal == "/":
        raise UsageError("--seen-as / is no place for a root; give the path of a directory")
    try:
        check_home(normal)
    except DoesNotFit as error:
        raise UsageError(f"--seen-as: {str(error).replace('--root', 'path')}") from None
    return normal


def whose(root: Root, key: BuildKey, host: Host) -> str:
    """For what the installed build ``key`` is, if not for use here, as a clause; else empty.

    ``for windows-x86_64``, ``for /opt/python``.
    """
    if host.unfit(key):
        target = key.target
        libc = "" if target.libc == "none" else f"-{target.libc}"
        return f"for {target.os}-{target.arch}{libc}"
    place = root.install_path(key)
    if not has_receipt(place):
        return ""
    try:
        receipt = read_receipt(place)
    except IntegrityError:
        return ""
    if receipt.foreign and receipt.home != place:
        return f"for {os.path.dirname(receipt.home)}"
    return ""
