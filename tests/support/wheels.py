"""Wheels: real ones made on the spot, and those that `ensurepip` carries, unpacked.

::

    make_wheel(folder, "app", "1.0", scripts={"app": "app:main"})
    make_wheel(folder, "speed", tags="cp313-cp313-manylinux_2_28_x86_64")
    make_wheel(folder, "space-one", files={"space/one.py": "ONE = 1"})          a namespace package
    make_wheel(folder, "data", data={"scripts/tool": "#!python\n", "headers/a.h": ""})
    make_wheel(folder, "evil", extra=[("../evil.py", b"")])                     not in RECORD
    make_wheel(folder, "liar", record=lambda lines: [*lines, "a.py,sha256=x,1\n"])

Projects and source distributions are made by :mod:`support.projects`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import quote

from .members import Member, program, text
from .relocation import PREFIX, with_trampoline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_MADE = (2020, 1, 1, 0, 0, 0)


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


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str | bytes] | None = None,
    scripts: Mapping[str, str] | None = None,
    gui_scripts: Mapping[str, str] | None = None,
    entry_points: str = "",
    data: Mapping[str, str | bytes] | None = None,
    tags: str = "py3-none-any",
    build: str = "",
    requires: Iterable[str] = (),
    requires_python: str = "",
    extra: Iterable[tuple[str | zipfile.ZipInfo, bytes]] = (),
    record: Callable[[list[str]], Iterable[str]] | None = None,
    info: str = "",
    metadata: str | None = None,
    wheel: str | None = None,
    filename: str = "",
    modes: Mapping[str, int] | None = None,
    stored: bool = False,
) -> Path:
    """Make a wheel in `folder` (made if need be), the same bytes each time.

    `files` are paths and contents; without them there is one module of the project's name, which
    tells its version, and whose `main` prints it with the arguments. `scripts` and `gui_scripts`
    are names with references (`app:main`), `entry_points` more text of `entry_points.txt`. `data`
    goes below `<name>-<version>.data`. `tags` are one set or several joined by dots. `modes` are
    permission bits by path.

    For bad ones: `extra` members come last as they are, whatever their name, without a line in
    RECORD; `record` gets RECORD's lines and returns others; `info` is another name of the
    `.dist-info` folder, `metadata` and `wheel` are other texts for METADATA and WHEEL; `filename`
    another name of the file.
    """
    distribution = re.sub(r"[-_.]+", "_", name).lower()
    info = info or f"{distribution}-{version}.dist-info"
    if files is None:
        files = {f"{distribution}.py": module_text(distribution, version)}
    members = {path: _bytes(content) for path, content in files.items()}
    for path, content in (data or {}).items():
        members[f"{distribution}-{version}.data/{path}"] = _bytes(content)
    listed = entry_points_text(scripts or {}, gui_scripts or {}, entry_points)
    if listed:
        members[f"{info}/entry_points.txt"] = listed.encode()
    if metadata is None:
        metadata = metadata_text(name, version, requires, requires_python)
    members[f"{info}/METADATA"] = metadata.encode()
    if wheel is None:
        wheel = _wheel(tags, build)
    members[f"{info}/WHEEL"] = wheel.encode()
    lines = [record_line(_quoted(path), content) for path, content in members.items()]
    lines.append(f"{info}/RECORD,,\n")
    members[f"{info}/RECORD"] = "".join(record(lines) if record else lines).encode()
    parts = [distribution, version, *([build] if build else []), tags]
    path = folder / (filename or "-".join(parts) + ".whl")
    folder.mkdir(parents=True, exist_ok=True)
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
        for each, content in members.items():
            archive.writestr(member_info(each, method, (modes or {}).get(each, 0o644)), content)
        for wild, content in extra:
            member = member_info(wild, method) if isinstance(wild, str) else wild
            archive.writestr(member, content)
    return path


def member_info(
    name: str, method: int = zipfile.ZIP_DEFLATED, mode: int = 0o644
) -> zipfile.ZipInfo:
    """A member of a zip with any name whatever; `mode` also with a type, `0o120777` for a link."""
    found = zipfile.ZipInfo("x", _MADE)
    found.filename = name
    found.compress_type = method
    found.create_system = 3
    found.external_attr = (mode if mode > 0o7777 else 0o100000 | mode) << 16
    return found


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def simple_index(files: Iterable[Path], *, hashes: bool = True) -> dict[str, bytes]:
    """What a server serves so that `…/simple/` is an index (PEP 503) of wheels and sdists."""
    projects: dict[str, list[Path]] = {}
    for path in files:
        name = re.sub(r"[-_.]+", "-", path.name.partition("-")[0]).lower()
        projects.setdefault(name, []).append(path)
    content = {
        f"/files/{path.name}": path.read_bytes() for each in projects.values() for path in each
    }
    links = "".join(f'<a href="{name}/">{name}</a>\n' for name in sorted(projects))
    content["/simple/"] = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
    for name, paths in projects.items():
        rows = "".join(
            f'<a href="../../files/{quote(path.name)}'
            + (f"#sha256={sha256_of(path)}" if hashes else "")
            + f'">{path.name}</a>\n'
            for path in paths
        )
        content[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{rows}</body></html>".encode()
    return content


def pylock_of(files: Iterable[Path], base: str = "", *, requires_python: str = ">=3.9") -> str:
    """A `pylock.toml` of wheels and sdists: below the address `base`, or as paths of files."""
    packages: dict[tuple[str, str], dict[str, list[str]]] = {}
    for path in files:
        parts = path.name.removesuffix(".tar.gz").split("-")
        key = (re.sub(r"[-_.]+", "-", parts[0]).lower(), parts[1])
        where = f'url = "{base}{quote(path.name)}"' if base else f'path = "{path.as_posix()}"'
        entry = (
            f'name = "{path.name}", {where}, size = {path.stat().st_size}, '
            f'hashes = {{ sha256 = "{sha256_of(path)}" }}'
        )
        kind = "wheels" if path.suffix == ".whl" else "sdist"
        packages.setdefault(key, {}).setdefault(kind, []).append(f"{{ {entry} }}")
    head = f'created-by = "kitbag-tests"\nrequires-python = "{requires_python}"\n'
    blocks = [f'lock-version = "1.0"\n{head}']
    for (name, version), kinds in sorted(packages.items()):
        block = f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        if "sdist" in kinds:
            block += f"sdist = {kinds['sdist'][0]}\n"
        if "wheels" in kinds:
            block += "wheels = [\n" + "".join(f"  {each},\n" for each in kinds["wheels"]) + "]\n"
        blocks.append(block)
    return "\n".join(blocks)


def module_text(distribution: str, version: str) -> str:
    return (
        f'import sys\n\n__version__ = "{version}"\n\n\ndef main():\n'
        f'    print("{distribution}", __version__, *sys.argv[1:])\n'
    )


def metadata_text(name: str, version: str, requires: Iterable[str], requires_python: str) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {each}" for each in requires]
    return "\n".join([*lines, "", "A package made by a test.", ""])


def _wheel(tags: str, build: str) -> str:
    python, abi, platform = tags.split("-")
    lines = ["Wheel-Version: 1.0", "Generator: kitbag-tests 1"]
    lines.append(f"Root-Is-Purelib: {'true' if tags.endswith('-none-any') else 'false'}")
    lines += [
        f"Tag: {one}-{two}-{three}"
        for one in python.split(".")
        for two in abi.split(".")
        for three in platform.split(".")
    ]
    if build:
        lines.append(f"Build: {build}")
    return "\n".join([*lines, ""])


def entry_points_text(scripts: Mapping[str, str], gui: Mapping[str, str], more: str) -> str:
    groups = (("console_scripts", scripts), ("gui_scripts", gui))
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in listed.items()) + "\n"
        for group, listed in groups
        if listed
    ) + (f"{more}\n" if more else "")


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if re.search(r'[,"\r\n]', path) else path


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
