"""Where environments are, and which there are.

::

    <root>/envs/app                one environment; its receipt is in .kitbag/ inside
    <root>/.kitbag/previous/app    the one before it, complete: what a rollback brings back

They are inside of the root, so that there is one folder to move, to lock and to remove, and every
change is a rename on one file system. Installers that share the root take no notice of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError

if TYPE_CHECKING:
    from kitbag_installer.roots import Root

FOLDER = "envs"
_PREVIOUS = "previous"


def environments_folder(root: Root) -> str:
    """The directory that environments are in."""
    return os.path.join(root.path, FOLDER)


def environment_path(root: Root, name: str) -> str:
    """The directory of one environment."""
    return os.path.join(root.path, FOLDER, name)


def previous_folder(root: Root) -> str:
    """The directory of those that were replaced."""
    return os.path.join(root.own, _PREVIOUS)


def previous_path(root: Root, name: str) -> str:
    """The directory of the one that was there before."""
    return os.path.join(root.own, _PREVIOUS, name)


def installed_environments(root: Root) -> tuple[str, ...]:
    """The names of all environments that kitbag installed, sorted.

    Raises :class:`FileSystemError` where the directory can't be read.
    """
    return _with_receipt(environments_folder(root))


def previous_environments(root: Root) -> tuple[str, ...]:
    """The names of all that a rollback can bring back, sorted; raises :class:`FileSystemError`."""
    return _with_receipt(previous_folder(root))


def _with_receipt(folder: str) -> tuple[str, ...]:
    names = names_in(folder)
    if not names:
        return ()
    from kitbag_installer.environments.receipts import has_receipt

    return tuple(name for name in names if has_receipt(os.path.join(folder, name)))


def names_in(folder: str) -> list[str]:
    """What in ``folder`` could be an environment by its name; raises :class:`FileSystemError`."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise FileSystemError(f"{folder}: can't be read ({error.strerror})") from None
    if not names:
        return []
    from kitbag_bundles.environments import is_environment_name

    return [name for name in names if is_environment_name(name)]
