"""The rules for one sysconfig value, shared by the three files that carry these values.

In the order in which they are applied:

1. white space is brought to single blanks, as uv does it;
2. ``-isysroot X`` goes;
3. toolchain names of the build machine become ``cc``, ``c++``, ``ar`` and the like;
4. paths of the build machine go: a tool becomes its bare name, a flag, an assignment or an
   element of a search path that holds such a path is left out;
5. the prefix becomes the home. In a command line the home is quoted for the shell where it needs
   to be; a value that is a path (or a list of paths between colons) gets it as it is.

For a home that needs no quotes the result is uv's own for every value that uv mends.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles.layout import PREFIX
from kitbag_installer.rewriting.prefix import (
    BUILD_ROOTS,
    PREFIX_PATH,
    double_quoted,
    needs_quoting,
    path_pattern,
    shell_quoted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLCHAIN = frozenset(
    "AR BLDSHARED CC CPP CXX LDCXXSHARED LDSHARED LINKCC MAINCC NM RANLIB READELF".split()  # noqa: SIM905 - one name a line would be noise
)
"""Variables that name a tool. All but ``AR`` (always ``ar``) are mended word by word."""

_HINTS = re.compile(
    r"/(?:install|tools|build|tmp|var/folders)|-isysroot|-fdebug-default|abs_(?:src|build)dir"
)
_TOOL = re.compile(
    r"(/usr/bin/[a-z0-9_]+-linux-[a-z0-9_]+-|llvm-|musl-(?=clang))?"
    r"(clang\+\+|clang|g\+\+|gcc|cpp|ar|ranlib|nm|readelf|strip|objcopy|objdump)"
)
_GENERIC = {"clang": "cc", "gcc": "cc", "clang++": "c++", "g++": "c++"}
_WORD = re.compile(r"""(?:[^\s'"$]+|\$\((?:[^()]|\([^()]*\))*\)|'[^']*'|"[^"]*"|['"$])+""")
_QUOTED = re.compile(r"""([A-Za-z_]\w*=)?(['"])([A-Za-z_]\w*=)?(\s*)(.*?)(\s*)\2""")
_TOOL_PATH = re.compile(r"[^\s:=]*/bin/([\w.+-]+)")
_HEAD = re.compile(r"[^/:$]*")
_TAKES_PATH = {"-I", "-L", "-F", "-B", "-isystem", "-iquote", "-idirafter", "-include", "-imacros"}


def build_directories(*values: str | None) -> list[str]:
    """Those of ``abs_srcdir`` and ``abs_builddir`` that can be told from a system directory."""
    return [
        value
        for value in values
        if value and value.startswith("/") and value.count("/") > 1 and not value.endswith("/")
    ]


class ValueRewriter:
    """Rewrites values for one home; pure, and made once per file.

    ``build`` are more directories of the build machine, from the file itself. ``make`` doubles
    every ``$`` of the home. With ``quoting`` off the home is inserted as it is everywhere, for
    callers that pass a variable reference such as ``${prefix}``.
    """

    def __init__(
        self, home: str, build: Sequence[str] = (), *, make: bool = False, quoting: bool = True
    ) -> None:
        self._home = home
        self._make = make
        self._plain = not quoting or not needs_quoting(home)
        extra = [f"$({d}" for d in ("abs_srcdir)", "abs_builddir)")] if make else []
        self._build = path_pattern(*BUILD_ROOTS, *dict.fromkeys(build), *extra)
        own = [re.escape(path) for path in build if not _HINTS.search(path)]
        self.hints = re.compile("|".join([_HINTS.pattern, *own])) if own else _HINTS

    def __call__(self, name: str, value: str) -> str:
        """The value of the variable ``name`` for this home, on one line."""
        value = " ".join(value.split())
        if name == "AR":
            return "ar" if value else value
        if name not in TOOLCHAIN and not self.concerns(value):
            return value
        return self.insert_home(" ".join(self._neutral(value, name in TOOLCHAIN)))

    def concerns(self, text: str) -> bool:
        """Whether ``text`` may hold something to rewrite; quick, and never wrongly ``False``."""
        return self.hints.search(text) is not None

    def insert_home(self, text: str) -> str:
        """Put the home in the place of every prefix, quoted as its surroundings ask for."""
        if PREFIX not in text:
            return text
        if self._plain or not re.search(r"""[\s"'=]|^-""", text):
            return PREFIX_PATH.sub(lambda _: self._form("", False, raw=True), text)
        return re.sub(_WORD, lambda word: self._in_word(word[0]), text)

    def _in_word(self, word: str) -> str:
        quoted = _QUOTED.fullmatch(word)
        # 'LDFLAGS=-L/install/lib -lx' holds a command line of its own: quotes within quotes.
        nested = bool(
            quoted and (quoted[1] or quoted[3]) and (" " in quoted[5] or quoted[5].startswith("-"))
        )
        return PREFIX_PATH.sub(
            lambda found: self._form(_open_quote(word[: found.start()]), nested), word
        )

    def _form(self, quote: str, nested: bool, *, raw: bool = False) -> str:
        shell = not raw and (nested or not quote)
        text = shell_quoted(self._home) if shell else self._home
        if quote:
            text = text.replace("'", "'\\''") if quote == "'" else double_quoted(text)
        return text.replace("$", "$$") if self._make else text

    def _neutral(self, text: str, tools: bool) -> list[str]:
        """The shell words of ``text`` without the build machine; the prefix stays."""
        kept: list[str] = []
        words = iter(_WORD.findall(text))
        for word in words:
            if word == "-isysroot":
                next(words, None)
                continue
            if tools and _TOOL.fullmatch(word):
                kept.append(_tool_name(word))
                continue
            quoted = _QUOTED.fullmatch(word)
            if quoted and self.concerns(quoted[5]):
                outer, quote, inner, lead, body, trail = quoted.groups("")
                body = " ".join(self._neutral(body, False))
                result = f"{outer}{quote}{inner}{lead}{body}{trail}{quote}" if body else ""
            elif word.startswith("-fdebug-default-version="):
                result = ""
            else:
                result = self._without_build_paths(word) if self._build.search(word) else word
            if result:
                kept.append(result)
            elif kept and kept[-1] in _TAKES_PATH:
                kept.pop()
        return kept

    def _without_build_paths(self, word: str) -> str:
        path = _TOOL_PATH.fullmatch(word)
        if path and self._build.match(word):
            return _tool_name(path[1])
        if "$(shell" in word:
            return ""
        head = _HEAD.match(word)[0]  # type: ignore[index]  # it matches the empty text
        rest = [part for part in word[len(head) :].split(":") if not self._build.search(part)]
        return head + ":".join(rest) if any(rest) else ""


def _tool_name(word: str) -> str:
    found = _TOOL.fullmatch(word)
    if not found or not (found[1] or found[2].startswith("clang")):
        return word
    return _GENERIC.get(found[2], found[2])


def _open_quote(text: str) -> str:
    """The quote that is open at the end of ``text``, as a shell reads it; or nothing."""
    quote = ""
    for char in re.sub(r"\\.", "", text):
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return quote
