"""The least systems that wheels run on: what their tags say, or what was built asks for itself.

Tags of Linux (PEP 600) and macOS
(https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/) name the least
version of glibc and of macOS. A wheel with several tags runs on the least of them that fits.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.tags import Tag

    from kitbag_packer.binaries import Binary
    from kitbag_packer.environments.model import Ready, WheelFile

    Numbers = tuple[int, ...]

_LEGACY = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}
"""What the names before PEP 600 mean, as it lists them."""
_MANYLINUX = re.compile(r"manylinux(?:(1|2010|2014)|_(\d+)_(\d+))_.+", re.ASCII)
_MACOS = re.compile(r"macosx_(\d+)_(\d+)_.+", re.ASCII)
_NATIVE = re.compile(r"\.(so|dylib|pyd|dll)(\.|$)")


def least_glibc(ready: Ready) -> str:
    """The least glibc that all wheels of an environment run on, ``2.17``; empty for any."""
    if ready.planned.made_for.target.os != "linux":
        return ""
    return _least(ready, _glibc_of_tag, lambda binary: binary.glibc)


def least_macos(ready: Ready) -> str:
    """The least macOS that all wheels of an environment run on, ``11.0``; empty for any."""
    if ready.planned.made_for.target.os != "macos":
        return ""
    return _least(ready, _macos_of_tag, lambda binary: binary.least_os)


def _least(
    ready: Ready, of_tag: Callable[[str], Numbers], of_binary: Callable[[Binary], Numbers]
) -> str:
    from kitbag_packer.environments.platforms import Platform

    planned, place = ready.planned, ready.planned.made_for
    supported = frozenset(Platform.of(place, planned.spec.glibc, place.release).tags)
    wanted: list[Numbers] = [()]
    for file in ready.wheels:
        fitting = [tag.platform for tag in _tags(file) & supported]
        if file.wheel.built and "any" not in fitting:
            # A builder's tag says where it ran, not what the binaries came to ask for.
            wanted += [of_binary(binary) for binary in _binaries(file)]
        elif fitting:
            wanted.append(min(of_tag(platform) for platform in fitting))
    return ".".join(map(str, max(wanted)))


def _tags(file: WheelFile) -> frozenset[Tag]:
    from packaging.utils import parse_wheel_filename

    return parse_wheel_filename(file.wheel.filename)[3]


def _glibc_of_tag(platform: str) -> Numbers:
    found = _MANYLINUX.fullmatch(platform)
    if not found:
        return ()
    return _LEGACY[found[1]] if found[1] else (int(found[2]), int(found[3]))


def _macos_of_tag(platform: str) -> Numbers:
    found = _MACOS.fullmatch(platform)
    return (int(found[1]), int(found[2])) if found else ()


def _binaries(file: WheelFile) -> Iterator[Binary]:
    from kitbag_packer.binaries import BadBinary, read_binaries

    try:
        with zipfile.ZipFile(file.path) as archive:
            for name in archive.namelist():
                if _NATIVE.search(name):
                    yield from read_binaries(io.BytesIO(archive.read(name)))
    except (BadBinary, zipfile.BadZipFile, OSError) as error:
        raise ArchiveError(
            f"{file.wheel.filename}: what was built can't be read: {error}; build it again"
        ) from None
