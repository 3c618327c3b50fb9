"""What uv calls a target when it resolves for it (``--python-platform``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitbag_packer.environments.model import For

_PLAIN = {
    "linux-x86_64-gnu": "x86_64-unknown-linux-gnu",
    "linux-aarch64-gnu": "aarch64-unknown-linux-gnu",
    "linux-x86_64-musl": "x86_64-unknown-linux-musl",
    "linux-aarch64-musl": "aarch64-unknown-linux-musl",
    "linux-riscv64gc-gnu": "riscv64-unknown-linux",
    "macos-aarch64-none": "aarch64-apple-darwin",
    "macos-x86_64-none": "x86_64-apple-darwin",
    "windows-x86_64-none": "x86_64-pc-windows-msvc",
    "windows-aarch64-none": "aarch64-pc-windows-msvc",
    "windows-x86-none": "i686-pc-windows-msvc",
}
_GLIBC = (17, 28, *range(31, 41))
"""Minor versions of glibc 2 that uv has a name for, on x86_64 and aarch64."""


def uv_platform(made_for: For, glibc: str = "") -> str:
    """The name of what ``made_for`` is, or nothing where uv has none.

    ``glibc`` is the least one, ``2.28``; uv's own idea without it. Of an implementation other than
    CPython uv knows nothing without running it.
    """
    if made_for.implementation != "cpython":
        return ""
    target = made_for.target
    arch = re.sub(r"_v[1-4]$", "", target.arch)
    plain = _PLAIN.get(f"{target.os}-{arch}-{target.libc}", "")
    minor = re.fullmatch(r"2\.(\d{1,3})", glibc)
    if target.libc != "gnu" or arch not in ("x86_64", "aarch64") or not minor:
        return plain
    named = [each for each in _GLIBC if each <= int(minor[1])]
    return f"{arch}-manylinux_2_{named[-1]}" if named else ""
