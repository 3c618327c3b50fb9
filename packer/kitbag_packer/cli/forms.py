"""In what form ``kitbag pack`` writes a bundle: volumes, a ``.7z``, a password, bytecode."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from kitbag_packer.packing import PackOptions


def chosen_output(given: str | None, otherwise: Path | None = None) -> Path:
    """The bundle to write; raises :class:`UsageError` where nobody names one."""
    if given == "" or not (given or otherwise):
        raise UsageError("name the bundle to write with -o FILE")
    return Path(given) if given else Path(str(otherwise))


def chosen_volume_size(options: argparse.Namespace) -> int:
    """The largest volume in bytes; 0 for one file."""
    if options.volume_size is None:
        return 0
    from kitbag_packer.volumes.sizes import parse_volume_size

    if options.format not in (None, "kitbag"):
        raise UsageError("--volume-size cuts up one file; leave out --format, or leave it out")
    return parse_volume_size(options.volume_size)


def in_volumes(how: PackOptions, output: Path, volume_size: int) -> PackOptions:
    """How to pack ``output``, in volumes of this size."""
    if not volume_size:
        return how
    from kitbag_packer.cli.split import check_unnumbered

    if how.directory:
        raise UsageError("--volume-size cuts up one file, and a directory is none")
    check_unnumbered(output)
    return replace(how, volume_size=volume_size)


def chosen_bytecode(options: argparse.Namespace, *, recipe: bool = False) -> str:
    """The mode of the compiled files to bring along; empty for none."""
    wanted = recipe if options.bytecode is None else options.bytecode
    if not wanted:
        return ""
    from kitbag_installer.bytecode.modes import CHECKED_HASH, TIMESTAMP, chosen_mode

    mode, named = chosen_mode(os.environ)
    if named and mode == TIMESTAMP:
        raise UsageError(
            "PYC_INVALIDATION_MODE=timestamp: compiled files of a bundle can't go by the time of "
            "their sources, which is another one on every machine; set it to checked_hash or "
            "unchecked_hash, or unset it"
        )
    return mode if named else CHECKED_HASH


def new_password(options: argparse.Namespace) -> str:
    """What encrypts the bundle; empty for not at all."""
    if not options.encrypt and options.password_file is None:
        return ""
    if options.format != "7z":
        raise UsageError("only a .7z can be encrypted; say --format 7z")
    from kitbag_packer.cli.passwords import chosen_password

    return chosen_password(options.password_file, options.output or "the bundle", twice=True)


def wrapping(options: argparse.Namespace, password: str) -> dict[str, Any]:
    """The options of a ``.7z``, if it is to be one."""
    return {"sevenzip": True, "password": password} if options.format == "7z" else {}
