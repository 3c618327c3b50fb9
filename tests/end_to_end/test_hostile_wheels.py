"""Wheels that are odd, broken or hostile: the two sides agree about each of them.

What packs has to install, so nothing may be carried that the target refuses; and since a bundle may
be made by somebody else, the target refuses what could not have been packed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.errors import ArchiveError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.unpacking import unpack_wheels
from kitbag_packer.environments.wheels import inspect_wheel
from support.environments import wheel_facts
from support.wheels import make_wheel, member_info, record_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kitbag_bundles.environments import Wheel

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
INFO = "app-1.0.dist-info"
FINE, REFUSED = "fine", "refused"


class Files:
    """A bundle whose wheel is a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open_wheel(self, wheel: Wheel) -> Any:
        return open(self.path, "rb")

    def accuse_wheel(self, wheel: Wheel) -> str:
        return ""


def packed(path: Path) -> tuple[str, str]:
    try:
        inspect_wheel(path, path.name)
    except ArchiveError as error:
        return REFUSED, str(error)
    return FINE, ""


def installed(path: Path, tree: Path) -> tuple[str, str]:
    tree.mkdir()
    wheel = wheel_facts(path)
    with SilentReporter().progress("unpacking", 0) as progress:
        try:
            unpack_wheels(Files(path), [wheel], str(tree), layout_of(KEY), "/app", progress)  # type: ignore[arg-type]
        except ArchiveError as error:
            return REFUSED, str(error)
    return FINE, ""


def named(name: str) -> dict[str, object]:
    """A member with that name, and its line in RECORD."""
    quoted = '"' + name.replace('"', '""') + '"'
    line = record_line(quoted, b"x")
    return {"extra": [(name, b"x")], "record": lambda lines: [*lines, line]}


def said(line: str) -> dict[str, object]:
    """Another line in RECORD for ``app.py``, or none."""
    return {"record": lambda lines: [line, *lines[1:]]}


def hashed(algorithm: str, encode: Callable[[bytes], bytes] = base64.urlsafe_b64encode) -> str:
    digest = encode(hashlib.new(algorithm, b"x = 2\n").digest()).rstrip(b"=").decode()
    return f"app.py,{algorithm}={digest},6\n"


def patched(signature: bytes, at: int, layout: str, value: int) -> Callable[[bytes], bytes]:
    """Another number in the first header with that signature."""

    def change(data: bytes) -> bytes:
        found = bytearray(data)
        struct.pack_into(layout, found, data.index(signature) + at, value)
        return bytes(found)

    return change


def rewritten(stream: Callable[[], io.RawIOBase], **options: bool) -> Callable[[bytes], bytes]:
    """Written again as other tools do."""

    def change(data: bytes) -> bytes:
        out = stream()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:  # type: ignore[call-overload]
            for info in old.infolist():
                with new.open(info.filename, "w", **options) as member:
                    member.write(old.read(info))
        return out.getvalue()  # type: ignore[attr-defined, no-any-return]

    return change


class Unseekable(io.BytesIO):
    """What lets zipfile write data descriptors."""

    def seekable(self) -> bool:
        return False

    def seek(self, *args: object) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def longer_than_said(data: bytes) -> bytes:
    """A member whose compressed bytes hold more than its size says, with the CRC of that much."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("app.py")
        whole = archive.read(info)
    found = bytearray(data)
    central = data.index(b"PK\1\2")
    short = len(whole) - 1
    for at in (14, central + 16):
        struct.pack_into("<L", found, at, zipfile.crc32(whole[:short]))  # type: ignore[attr-defined]
    for at in (22, central + 24):
        struct.pack_into("<L", found, at, short)
    return bytes(found)


def with_utf8_only_in_the_directory(data: bytes) -> bytes:
    found = bytearray(data)
    flags = struct.unpack_from("<H", data, 6)[0]
    struct.pack_into("<H", found, 6, flags & ~0x800)
    return bytes(found)


WHEELS: dict[str, tuple[str, dict[str, object], Callable[[bytes], bytes] | None]] = {
    # Names of members.
    "a blank and a comma": (FINE, named("a b,c.py"), None),
    "letters of another alphabet": (FINE, named("ü/ß.py"), None),
    "names that differ in case": (FINE, {"files": {"a.py": "1", "A.py": "2"}}, None),
    "parent": (REFUSED, named("../evil.py"), None),
    "parent in the middle": (REFUSED, named("a/../../evil.py"), None),
    "absolute": (REFUSED, named("/etc/evil"), None),
    "backslashes": (REFUSED, named("a\\..\\evil.py"), None),
    "a drive": (REFUSED, named("C:/evil.py"), None),
    "a drive without a slash": (REFUSED, named("C:evil.py"), None),
    "NUL": (REFUSED, named("a\0b.py"), None),
    "a line end": (REFUSED, named("a\nb.py"), None),
    "a dot": (REFUSED, named("a/./b.py"), None),
    "two slashes": (REFUSED, named("a//b.py"), None),
    "twice": (REFUSED, {"extra": [("app.py", b"x")]}, None),
    "a file and a folder": (REFUSED, {"files": {"a": "", "a/b.py": ""}}, None),
    "a link": (REFUSED, {"extra": [(member_info("x", mode=0o120777), b"/etc/passwd")]}, None),
    # RECORD.
    "not in RECORD": (REFUSED, {"extra": [("b.py", b"x")]}, None),
    "only in RECORD": (
        REFUSED, {"record": lambda lines: [*lines, record_line("gone.py", b"")]}, None
    ),
    "another hash": (REFUSED, said(record_line("app.py", b"y")), None),
    "another size": (REFUSED, said(hashed("sha256").replace(",6\n", ",7\n")), None),
    "no size": (FINE, said(hashed("sha256").replace(",6\n", ",\n")), None),
    "a negative size": (REFUSED, said(hashed("sha256").replace(",6\n", ",-6\n")), None),
    "a size in other digits": (REFUSED, said(hashed("sha256").replace(",6\n", ",٦\n")), None),
    "no hash": (REFUSED, said("app.py,,\n"), None),
    "md5": (REFUSED, said(hashed("md5")), None),
    "sha1": (REFUSED, said(hashed("sha1")), None),
    "sha224": (REFUSED, said(hashed("sha224")), None),
    "sha512": (FINE, said(hashed("sha512")), None),
    "sha3-256": (FINE, said(hashed("sha3_256").replace("sha3_256", "sha3-256")), None),
    "shake": (REFUSED, said("app.py,shake_128=AAAA,\n"), None),
    "SHA256": (FINE, said(hashed("sha256").replace("sha256", "SHA256")), None),
    "plain base64": (REFUSED, said(hashed("sha256", base64.b64encode)), None),
    "hex": (FINE, said(hashed("sha256", binascii.hexlify)), None),
    "hex of a part": (REFUSED, said(hashed("sha256", lambda raw: raw[:31].hex().encode())), None),
    "padding": (FINE, said(hashed("sha256").replace(",6\n", "=,6\n")), None),
    "a line for a folder": (FINE, {"record": lambda lines: [*lines, "app/,,\n"]}, None),
    "lines that differ": (
        REFUSED, {"record": lambda lines: [*lines, record_line("app.py", b"y")]}, None
    ),
    "the same line twice": (FINE, {"record": lambda lines: [*lines, lines[0]]}, None),
    "two fields": (REFUSED, said("app.py,\n"), None),
    "RECORD.jws": (FINE, {"extra": [(f"{INFO}/RECORD.jws", b"{}")]}, None),
    "INSTALLER not in RECORD": (REFUSED, {"extra": [(f"{INFO}/INSTALLER", b"pip\n")]}, None),
    "INSTALLER": (FINE, named(f"{INFO}/INSTALLER"), None),
    # The other texts.
    "another project inside": (REFUSED, {"info": "other-1.0.dist-info"}, None),
    "a hyphen inside": (FINE, {"name": "my-app", "info": "my-app-1.0.dist-info"}, None),
    "two folders": (REFUSED, {"files": {"b-1.dist-info/x": ""}}, None),
    "no WHEEL version": (REFUSED, {"wheel": "Tag: py3-none-any\n"}, None),
    "a newer minor version": (FINE, {"wheel": "Wheel-Version: 1.9\n"}, None),
    "a newer version": (REFUSED, {"wheel": "Wheel-Version: 2.0\n"}, None),
    "scheme unknown": (REFUSED, {"data": {"elsewhere/x": ""}}, None),
    "scheme without a file": (REFUSED, {"data": {"data": ""}}, None),
    "scheme in capitals": (REFUSED, {"data": {"Scripts/x": ""}}, None),
    "scheme leads out": (REFUSED, named("app-1.0.data/data/../../x"), None),
    "kitbag's own": (REFUSED, {"data": {"data/.kitbag/receipt.json": ""}}, None),
    "all schemes": (
        FINE,
        {
            "data": {
                "purelib/a.py": "", "platlib/b.py": "", "data/etc/c": "", "data/lib64/x": "",
                "headers/d.h": "", "scripts/e": "#!python\n",
            }
        },
        None,
    ),
    "script elsewhere": (REFUSED, {"scripts": {"../evil": "a:b"}}, None),
    "script that is no function": (REFUSED, {"scripts": {"evil": "a"}}, None),
    "script with code": (REFUSED, {"scripts": {"evil": "a:b; import os"}}, None),
    "script on a second line": (
        REFUSED, {"entry_points": "[console_scripts]\napp =\n  app:main"}, None
    ),
    "script with extras": (FINE, {"scripts": {"app": "app:main [fast,small]"}}, None),
    # The zip.
    "stored": (FINE, {"stored": True}, None),
    "data descriptors": (FINE, {}, rewritten(Unseekable)),
    "zip64": (FINE, {}, rewritten(io.BytesIO, force_zip64=True)),
    "encrypted": (REFUSED, {}, patched(b"PK\1\2", 8, "<H", 1)),
    "rare compression": (REFUSED, {"extra": [(member_info("x", zipfile.ZIP_LZMA), b"x")]}, None),
    "something behind": (REFUSED, {}, lambda data: data + b"more"),
    "something in front": (REFUSED, {}, lambda data: b"#!/bin/sh\n" + data),
    "cut": (REFUSED, {}, lambda data: data[:-30]),
    "another method in the header": (REFUSED, {}, patched(b"PK\3\4", 8, "<H", 0)),
    "another name in the header": (REFUSED, {}, lambda data: data.replace(b"app", b"bpp", 1)),
    "a header elsewhere": (REFUSED, {}, patched(b"PK\1\2", 42, "<L", 7)),
    "more than it says": (REFUSED, {"files": {"app.py": "x = 1\n"}}, longer_than_said),
    "utf-8 told once": (FINE, {"files": {"ü.py": ""}}, with_utf8_only_in_the_directory),
}  # fmt: skip


def wheel_of(shape: str, folder: Path) -> Path:
    _, options, change = WHEELS[shape]
    if not {"files", "name"} & options.keys():
        options = {"files": {"app.py": "x = 2\n"}, **options}
    path = make_wheel(folder, **{"name": "app", **options})  # type: ignore[arg-type]
    if change is not None:
        path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize("shape", WHEELS)
def test_both_sides_agree(tmp_path, shape):
    path = wheel_of(shape, tmp_path)
    verdicts = [packed(path), installed(path, tmp_path / "tree")]
    assert [verdict for verdict, _ in verdicts] == [WHEELS[shape][0]] * 2, verdicts
    for verdict, message in verdicts:
        if verdict == REFUSED:
            assert message.startswith(f"{path.name}: ")
            assert message.isprintable()
