"""What ``--target`` means: targets, their other names, ``host`` and ``all``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import Target
from kitbag_bundles.requests import ARCH_ALIASES, OS_ALIASES
from kitbag_packer.upstream import TRIPLES, parse_triple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kitbag_bundles.requests import Request

__all__ = ["EMSCRIPTEN", "KNOWN", "Wanted", "default_libc", "host_target", "parse_target"]

EMSCRIPTEN = Target("emscripten", "wasm32", "musl")
"""What every Pyodide is for, whatever machine it is carried to."""

KNOWN = tuple(sorted((*TRIPLES.values(), EMSCRIPTEN), key=str))
"""Every target that there are archives for, or were."""

_OSES = {target.os for target in KNOWN}
_ARCHES = {target.arch for target in KNOWN}
_LIBCS = {target.libc for target in KNOWN}
_NOISE = frozenset(("unknown", "pc", "apple", "msvc"))
_LEVEL = re.compile(r"x86[-_]64[-_](v[234])\b", re.ASCII)
_SHOWN = 3


@dataclass(frozen=True)
class Wanted:
    """The targets of a command line."""

    named: tuple[Target, ...]
    """Those that were named, in that order and once each."""
    everything: bool = False
    """Also every other one that there are builds for, without CPU levels."""

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Wanted:
        """Read what was given to ``--target``; nothing means this machine.

        Raises :class:`UsageError`.
        """
        words = [text.strip().lower() for text in texts] or ["host"]
        named = [
            host_target() if word == "host" else parse_target(word)
            for word in words
            if word != "all"
        ]
        return cls(tuple(dict.fromkeys(named)), "all" in words)

    def of(self, request: Request, available: Iterable[Target]) -> tuple[Target, ...]:
        """The targets that ``request`` stands for.

        ``available`` are those that there are builds of this request for. A request that names a
        platform is about the wanted targets which that fits, or else about its own.
        """
        if request.implementation == "pyodide":
            return (EMSCRIPTEN,)
        found = [target for target in self.named if _satisfies(request, target)]
        if self.everything:
            found += [
                target
                for target in sorted(available, key=str)
                if _satisfies(request, target) and (target.cpu_level == 1 or request.arch)
            ]
        if not found and (request.os or request.arch or request.libc):
            found = [_own_target(request)]
        return tuple(dict.fromkeys(found))


def host_target() -> Target:
    """This machine, with the architecture's baseline."""
    from kitbag_installer.hosts import this_host

    host = this_host()
    return Target(host.os, host.arch, host.libc)


def default_libc(system: str, arch: str) -> str:
    """The C library that is meant where none is named."""
    if system == "linux":
        return "gnueabihf" if arch == "armv7" else "gnu"
    return "musl" if system == "emscripten" else "none"


def parse_target(text: str) -> Target:
    """Read one target; raises :class:`UsageError` that names the nearest.

    Understood are ``linux-x86_64-gnu``, the same without its libc, triples such as
    ``x86_64-unknown-linux-gnu``, Docker's ``linux/arm64``, and the usual other names of systems
    and architectures (``darwin``, ``amd64``, …), in any order.
    """
    word = text.strip().lower()
    target = parse_triple(word) or _from_words(word)
    if target not in KNOWN:
        raise UsageError(f"{text!r} is no target that there are builds for; {_nearest(word)}")
    return target


def _from_words(text: str) -> Target | None:
    plain = _LEVEL.sub(r"x86_64_\1", text).replace("x86-64", "x86_64")
    words = [word for word in re.split(r"[-/]", plain) if word not in _NOISE]
    if "msvc" in text or "apple" in text:
        words.append("none")
    found: dict[str, str] = {}
    for word in words:
        system = OS_ALIASES.get(word, word)
        arch = ARCH_ALIASES.get(word, word)
        if word in ("v2", "v3", "v4") and found.get("arch") == "x86_64":
            found["arch"] = f"x86_64_{word}"
        elif word == "v8" and found.get("arch") == "aarch64":
            continue
        elif word == "v7" and found.get("arch") == "arm":
            found["arch"] = "armv7"
        elif system in _OSES and "os" not in found:
            found["os"] = system
        elif (arch in _ARCHES or arch == "arm") and "arch" not in found:
            found["arch"] = arch
        elif word in _LIBCS and found.get("libc", word) == word:
            found["libc"] = word
        else:
            return None
    if "os" not in found or "arch" not in found:
        return None
    libc = found.get("libc") or default_libc(found["os"], found["arch"])
    return Target(found["os"], found["arch"], libc)


def _nearest(word: str) -> str:
    parts = set(re.split(r"[-/]", word))
    likely = [target for target in KNOWN if target.cpu_level == 1 or "_v" in word]
    # Where all that is there is right, what is missing is meant: 'macos', 'musl-x86_64'.
    shown = [str(target) for target in likely if parts <= _words(target)]
    if not shown:
        names = {str(target): str(target) for target in likely}
        names |= {str(target).rpartition("-")[0]: str(target) for target in reversed(likely)}
        names |= {"host": "host", "all": "all"}
        names |= {name: str(target) for name, target in TRIPLES.items() if target in likely}
        shown = [names[name] for name in difflib.get_close_matches(word, names, _SHOWN)]
    if shown:
        return f"did you mean {' or '.join(list(dict.fromkeys(shown))[:_SHOWN])}?"
    return "write linux-x86_64-gnu, macos-aarch64, windows-x86_64, host or all"


def _words(target: Target) -> set[str]:
    """Every name of each part of ``target``."""
    aliases = (*OS_ALIASES.items(), *ARCH_ALIASES.items())
    known = {target.os, target.arch, target.libc}
    return known | {alias for alias, name in aliases if name in known}


def _satisfies(request: Request, target: Target) -> bool:
    return (
        request.os in ("", target.os)
        and request.arch in ("", target.arch)
        and request.libc in ("", target.libc)
    )


def _own_target(request: Request) -> Target:
    """The platform that ``request`` names, what it leaves open taken from this machine."""
    host = host_target()
    if request.os == "emscripten" or request.arch == "wasm32":
        return EMSCRIPTEN
    system = request.os or ("linux" if request.libc not in ("", "none") else host.os)
    arch = request.arch or host.arch
    here = (system, Target(system, arch, "").cpu) == (host.os, host.arch)
    return Target(system, arch, request.libc or (host.libc if here else default_libc(system, arch)))
