"""The member with a build's bytecode: a small ``.tar.gz`` that depends on its files alone.

``docs/reference/bundle-format.md`` says what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.bundle import MAX_READ
from kitbag_bundles.errors import KitbagError
from kitbag_bundles.manifest import Bytecode
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.tarball import TarItem, write_tarball

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from kitbag_packer.bytecode.interpreters import Interpreter
    from kitbag_packer.materials import Material
    from kitbag_packer.sources import MemberSource

HEADER = 16
"""Bytes before the code of a compiled file: magic number, flags, hash of the source; PEP 552."""
_FLAGS = {"checked-hash": 3, "unchecked-hash": 1}
_BEST = 9


@dataclass(frozen=True)
class Overlay:
    """Bytecode that is ready to be packed."""

    bytecode: Bytecode
    path: Path
    """Where the bytes of the member are."""

    @property
    def member(self) -> MemberSource:
        """The member; reads the file once."""
        from kitbag_packer.sources import file_member

        return file_member(self.bytecode.member, self.path, sha256=self.bytecode.sha256)


def write_overlay(
    material: Material,
    tree: Path,
    files: Collection[str],
    maker: Interpreter,
    mode: str,
    destination: Path,
) -> Overlay:
    """Write the compiled ``files`` of ``tree`` to ``destination``.

    Raises :class:`KitbagError` for one that is not what ``maker`` was asked for, and
    :class:`FileSystemError`.
    """
    build = material.build
    start = maker.magic.to_bytes(2, "little") + b"\r\n" + _FLAGS[mode].to_bytes(4, "little")
    size = 0
    for path in files:
        with open(tree / path, "rb") as file:
            if file.read(HEADER)[: len(start)] != start:
                raise KitbagError(
                    f"{build.key}: {maker.path} made {path} in another form than it was asked for; "
                    "leave out --bytecode"
                )
            size += file.seek(0, 2)
    items = [TarItem(path, content=tree / path) for path in files]
    made = write_tarball(destination, items, reporter=SilentReporter(), level=_BEST, modified=0)
    if made.size > MAX_READ:
        raise KitbagError(
            f"{build.key}: its bytecode takes {made.size} bytes, more than the {MAX_READ} that a "
            "bundle may hold for a build; leave out --bytecode"
        )
    bytecode = Bytecode(
        member=build.bytecode_member,
        size=made.size,
        sha256=made.sha256,
        tar_sha256=made.tar_sha256,
        files=len(files),
        unpacked_size=size,
        magic=maker.magic,
        tag=maker.tag,
        mode=mode,
        maker=maker.name,
    )
    return Overlay(bytecode, destination)
