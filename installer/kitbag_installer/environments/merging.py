"""What several wheels make together: one tree, and the list of what is in it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.contents import Entry, render
from kitbag_bundles.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_installer.environments.unpacking import Unpacked


class File(NamedTuple):
    """A file of an environment."""

    mode: int
    size: int
    sha256: str


def merged(unpacked: Sequence[Unpacked], tree: str) -> dict[str, File]:
    """Every file that the wheels brought, by path.

    The same file may come several times, if it is the same; one who may run it wins. Raises
    :class:`BundleError` if two wheels have different files for one path.
    """
    files: dict[str, File] = {}
    owners: dict[str, str] = {}
    there = set()
    for each in unpacked:
        for path, mode, size, digest, fresh in each.files:
            if fresh:
                there.add(path)
            file = File(mode, size, digest)
            other = files.setdefault(path, file)
            if other[1:] != file[1:]:
                if owners[path] == each.filename:
                    raise BundleError(
                        f"{each.filename}: has two different files for {path}; the wheel is "
                        "broken, pack another one"
                    )
                raise BundleError(
                    f"{owners[path]} and {each.filename} have different files for {path}; "
                    "pack the environment without one of them"
                )
            if other.mode != mode:
                files[path] = file._replace(mode=0o755)
                os.chmod(os.path.join(tree, path), files[path].mode)
            owners.setdefault(path, each.filename)
    for path in sorted(files.keys() - there):
        if os.path.isdir(os.path.join(tree, path)):
            raise BundleError(
                f"{owners[path]}: {path} is a file, and a directory in another wheel; "
                "pack the environment without one of them"
            )
        raise BundleError(
            f"{owners[path]}: {path} and another file have the same name there, since upper and "
            "lower case are the same; choose another root with --root"
        )
    return files


def describe(path: str) -> File:
    """A file as it is, with the one of two modes that it should have."""
    with open(path, "rb") as stream:
        data = stream.read()
    mode = 0o755 if os.stat(path).st_mode & 0o100 else 0o644
    os.chmod(path, mode)
    return File(mode, len(data), hashlib.sha256(data).hexdigest())


def render_contents(tree: str, files: Mapping[str, File], links: Mapping[str, str]) -> bytes:
    """The list of all paths in ``tree``: ``files``, ``links`` with their targets, directories."""
    entries = [
        Entry(path, "f", file.mode, file.size, file.sha256, "") for path, file in files.items()
    ]
    entries += [Entry(path, "l", 0o777, 0, "", target) for path, target in links.items()]
    folders: set[str] = set()
    for path in (*files, *links):
        above = path.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    entries += [Entry(path, "d", 0o755, 0, "", "") for path in folders]
    for path in _empty_folders(tree, folders):
        entries.append(Entry(path, "d", 0o755, 0, "", ""))
    return render(entries)


def _empty_folders(tree: str, known: set[str]) -> list[str]:
    """Those at the top and one below that hold no file: ``include/python3.13`` of ``venv``."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with os.scandir(os.path.join(tree, above)) as entries:
            for entry in entries:
                path = f"{above}/{entry.name}" if above else entry.name
                if entry.is_dir(follow_symlinks=False) and path not in known:
                    found.append(path)
                    waiting.append(path)
                elif above == "" and path in ("include", "Include", "lib", "Lib"):
                    waiting.append(path)
    return found
