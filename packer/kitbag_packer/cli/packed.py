"""What ``kitbag pack`` tells of a finished bundle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_bundles.manifest import Manifest
    from kitbag_packer.packing import Packed


def render(packed: Packed, *, as_json: bool) -> None:
    """Write it to standard output."""
    from kitbag_bundles.manifest import to_table
    from kitbag_installer.cli.show import counted
    from kitbag_installer.cli.terminal import human_size, write_json, write_line
    from kitbag_packer.cli.split import named

    if as_json:
        table: dict[str, Any] = {
            "bundle": str(packed.path),
            "size": packed.size,
            "sha256": packed.sha256,
            "manifest": to_table(packed.manifest),
        }
        if packed.volumes:
            table["volumes"] = [os.path.basename(path) for path in packed.volumes]
        write_json(table)
        return
    place = named(str(packed.path), packed.volumes)
    write_line(f"Packed {counted(packed.manifest)} into {place} ({human_size(packed.size)})")
    for line in _lines(packed.manifest):
        write_line(f" + {line}")
    if packed.sha256:
        write_line(f"sha256 {packed.sha256}")


def _lines(manifest: Manifest) -> Iterator[str]:
    from kitbag_installer.cli.terminal import human_size

    for build in manifest.builds:
        size, unpacked = human_size(build.payload.size), human_size(build.unpacked_size)
        compiled = (
            f", bytecode of {build.bytecode.files} files: {human_size(build.bytecode.size)}"
            if build.bytecode
            else ""
        )
        yield f"{build.key} ({size}, {unpacked} unpacked{compiled})"
    for environment in manifest.environments:
        wheels = manifest.wheels_of(environment)
        count = f"{len(wheels)} wheel{'s'[: len(wheels) != 1]}"
        size = human_size(sum(wheel.size for wheel in wheels))
        unpacked = human_size(sum(wheel.unpacked_size for wheel in wheels))
        made_for = environment.python or f"{environment.python_version} on {environment.target}"
        yield f"{environment.name} for {made_for} ({count}, {size}, {unpacked} unpacked)"
