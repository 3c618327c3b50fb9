"""Projects and source distributions whose build backend is in them: building takes no index.

::

    make_project(folder / "app", "app", scripts={"app": "app:main"})
    make_sdist(folder, "app", "1.0")
    make_sdist(folder, "broken", fails="no compiler found")
    make_sdist(folder, "speed", tags="py3-none-HOST")       as if it had compiled something
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

from .wheels import entry_points_text, metadata_text, module_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def make_project(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    scripts: Mapping[str, str] | None = None,
    dependencies: Iterable[str] = (),
    tags: str = "py3-none-any",
    fails: str = "",
    files: Mapping[str, str] | None = None,
    more: str = "",
) -> Path:
    """Make a project's directory whose backend is in it, so that a build needs nothing else.

    `tags` are those of the wheel that comes out; `HOST` in them stands for what the building
    interpreter is on. `fails` ends the build with that message. `more` is text at the end of
    `pyproject.toml`. The wheel holds `built_with.txt`: the interpreter's version and prefix, and
    SOURCE_DATE_EPOCH.
    """
    distribution = re.sub(r"[-_.]+", "_", name).lower()
    folder.mkdir(parents=True, exist_ok=True)
    listed = "".join(f'{each} = "{where}"\n' for each, where in (scripts or {}).items())
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.9"\n'
        f"dependencies = {list(dependencies)!r}\n"
        + (f"\n[project.scripts]\n{listed}" if listed else "")
        + more,
        "utf-8",
    )
    settings = {
        "distribution": distribution,
        "version": version,
        "tags": tags,
        "fails": fails,
        "metadata": metadata_text(name, version, dependencies, ">=3.9"),
        "entry_points": entry_points_text(scripts or {}, {}, ""),
    }
    (folder / "backend.py").write_text(f"S = {settings!r}\n{_BACKEND}", "utf-8")
    (folder / f"{distribution}.py").write_text(module_text(distribution, version), "utf-8")
    for path, content in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, "utf-8")
    return folder


def make_sdist(folder: Path, name: str, version: str = "1.0", **project: object) -> Path:
    """Make a source distribution of :func:`make_project`'s project, the same bytes each time."""
    distribution = re.sub(r"[-_.]+", "_", name).lower()
    top = f"{distribution}-{version}"
    source = make_project(folder / f".{top}", name, version, **project)  # type: ignore[arg-type]
    path = folder / f"{top}.tar.gz"
    (source / "PKG-INFO").write_text(metadata_text(name, version, (), ""), "utf-8")
    with tarfile.open(path, "w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as archive:
        for each in sorted(source.rglob("*")):
            if each.is_file():
                found = tarfile.TarInfo(f"{top}/{each.relative_to(source).as_posix()}")
                content = each.read_bytes()
                found.size, found.mtime = len(content), 1577836800
                archive.addfile(found, io.BytesIO(content))
    shutil.rmtree(source)
    blob = bytearray(path.read_bytes())
    blob[4:8] = bytes(4)  # gzip's own time
    path.write_bytes(bytes(blob))
    return path


_BACKEND = """
import base64, hashlib, os, sys, sysconfig, zipfile


def _write(folder, only_metadata=False):
    if S["fails"]:
        sys.exit(S["fails"])
    name, version = S["distribution"], S["version"]
    tags = S["tags"].replace("HOST", sysconfig.get_platform().replace("-", "_").replace(".", "_"))
    info = f"{name}-{version}.dist-info"
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "none")
    built = f"{sys.version.split()[0]}\\n{sys.base_prefix}\\n{epoch}\\n"
    python, abi, platform = tags.split("-")
    labels = "".join(
        f"Tag: {a}-{b}-{c}\\n"
        for a in python.split(".") for b in abi.split(".") for c in platform.split(".")
    )
    members = {
        f"{name}.py": open(f"{name}.py", "rb").read(),
        f"{name}_built_with.txt": built.encode(),
        f"{info}/METADATA": S["metadata"].encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n{labels}".encode(),
    }
    if S["entry_points"]:
        members[f"{info}/entry_points.txt"] = S["entry_points"].encode()
    if only_metadata:
        os.mkdir(os.path.join(folder, info))
        for path, data in members.items():
            if path.startswith(info):
                with open(os.path.join(folder, path), "wb") as file:
                    file.write(data)
        return info
    lines = []
    filename = f"{name}-{version}-{tags}.whl"
    with zipfile.ZipFile(os.path.join(folder, filename), "w") as archive:
        for path, data in members.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(data)}\\n")
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
        record = f"{info}/RECORD"
        lines.append(f"{record},,\\n")
        archive.writestr(zipfile.ZipInfo(record, (2020, 1, 1, 0, 0, 0)), "".join(lines))
    return filename


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with open("written_by_the_build.txt", "w") as file:
        file.write("a build writes where it is")
    return _write(wheel_directory)


build_editable = build_wheel


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    return _write(metadata_directory, only_metadata=True)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_editable = get_requires_for_build_wheel
"""
