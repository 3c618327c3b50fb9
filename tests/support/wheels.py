"""Packages of a test archive, unpacked from the wheels that `ensurepip` carries."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from typing import TYPE_CHECKING

from .members import Member, program, text
from .relocation import PREFIX, with_trampoline

if TYPE_CHECKING:
    from pathlib import Path


def record_line(path: str, data: bytes) -> str:
    """Return one line of a RECORD file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def launcher(module: str, function: str, executable: str) -> str:
    """Return a console script with the shebang of the build machine."""
    return (
        f"#!{PREFIX}/bin/{executable}\n"
        "# -*- coding: utf-8 -*-\n"
        "import sys\n\n"
        f"from {module} import {function}\n\n"
        'if __name__ == "__main__":\n'
        f"    sys.exit({function}())\n"
    )


def newest_wheel(folder: Path, name: str) -> Path | None:
    """Return the newest wheel of the project `name` in `folder`."""
    wheels = sorted(
        folder.glob(f"{name}-*.whl"), key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)]
    )
    return wheels[-1] if wheels else None


def _vendored_licences(files: dict[str, bytes], info: str) -> dict[str, bytes]:
    """Return the licences of vendored parts below the metadata folder, where pip 26 has them.

    Their names are the longest of an upstream tree and need the prefix field of a tar header.
    """
    if not info.startswith("pip-") or any("/licenses/" in path for path in files):
        return {}
    parts = [path.split("/") for path in files if path.startswith("pip/_vendor/")]
    names = {"dependency_groups", *(part[2] for part in parts if len(part) > 3)}
    return {
        f"{info}/licenses/src/pip/_vendor/{name}/LICENSE.txt": f"Licence of {name}.\n".encode()
        for name in names
    }


def installed_wheel(
    wheel: Path, site: str, scripts: list[str], executable: str, *, only: str = ""
) -> list[Member]:
    """Return a wheel as pip installs it below `site` (such as `lib/python3.13/site-packages`).

    `scripts` are names for the wheel's `pip` entry point, made in `bin` with upstream's trampoline;
    RECORD keeps the hashes from before, as upstream's does. `only` keeps the files whose path
    matches that regular expression.
    """
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    info = next(name.split("/")[0] for name in files if name.endswith(".dist-info/RECORD"))
    del files[f"{info}/RECORD"]
    if only:
        files = {path: data for path, data in files.items() if re.search(only, path)}
    else:
        files.update(_vendored_licences(files, info))
    files[f"{info}/INSTALLER"] = b"pip\n"
    files[f"{info}/REQUESTED"] = b""
    before = {name: launcher("pip._internal.cli.main", "main", executable) for name in scripts}
    lines = [record_line(f"../../../bin/{name}", data.encode()) for name, data in before.items()]
    lines += [record_line(path, data) for path, data in sorted(files.items())]
    lines.append(f"{info}/RECORD,,\n")
    members = [Member(f"{site}/{path}", data) for path, data in files.items()]
    members.append(text(f"{site}/{info}/RECORD", "".join(sorted(lines))))
    members += [
        program(f"bin/{name}", with_trampoline(data, executable).encode())
        for name, data in before.items()
    ]
    return members
