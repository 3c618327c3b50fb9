"""What a healthy installed CPython is: every check asks the tree itself, with nothing around it."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.keys import BuildKey
from kitbag_installer.rewriting import leftover_prefixes

from . import extension

if TYPE_CHECKING:
    from collections.abc import Iterator

# As a path of its own; "operations/install" and "./install" are other things.
PREFIX = re.compile(r"(?<![\w./$}-])(?:-[LI])?/install(?=[/\"'\s:,;)]|$)")
_BUILD_PLACES = re.compile(r"(?<![\w.-])/(?:build|tools)(?=/|$)")
_BUILD_TOOLS = re.compile(r"\b(?:clang|llvm)")
# What configure was told and what profiled the interpreter: records of how this Python was made
# that name tools, but no place of the build machine. Nothing is built with them.
RECORDS_OF_THE_BUILD = frozenset(
    {"CONFIG_ARGS", "LLVM_PROF_MERGER", "LLVM_PROF_FILE", "LLVM_PROF_FOUND", "LLVM_PROF_ERR"}
)
_ASK = """
import json, sys, sysconfig
makefile = {}
try:
    from sysconfig import _parse_makefile as parse
except ImportError:
    from sysconfig.__main__ import _parse_makefile as parse
parse(sysconfig.get_makefile_filename(), makefile)
print(json.dumps({
    "variables": sysconfig.get_config_vars(), "makefile": makefile,
    "paths": sysconfig.get_paths(), "prefix": sys.prefix, "version": sys.version.split()[0],
}))
"""


class Done(NamedTuple):
    """What came of one program."""

    status: int
    out: str
    err: str


def bare_environment(**more: str) -> dict[str, str]:
    """Return what `env -i` leaves, and the least that programs cannot do without."""
    home = os.environ["HOME"]
    return {"PATH": "/usr/bin:/bin", "HOME": home, "LC_ALL": "C.UTF-8", **more}


def run(*command: str | Path, status: int | None = 0, cwd: Path | None = None, **more: str) -> Done:
    """Run a program with nothing around it; it must end with `status` (None: with any)."""
    done = subprocess.run(
        command,
        env=bare_environment(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1", **more),
        cwd=cwd or os.environ["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=240,
    )
    result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert status is None or result.status == status, f"{command}: {result}"
    return result


class Tree(NamedTuple):
    """One installed build by its path, `<root>/<key>`."""

    home: Path

    @property
    def key(self) -> BuildKey:
        return BuildKey.parse(self.home.name)

    @property
    def minor(self) -> str:
        return self.key.version.minor_text

    @property
    def python(self) -> Path:
        return self.home / "bin" / f"python{self.minor}"

    @property
    def library(self) -> Path:
        return self.home / "lib" / f"python{self.minor}"

    def command(self, name: str, *arguments: str | Path, status: int | None = 0) -> Done:
        """Run one of the tree's own scripts."""
        return run(self.home / "bin" / name, *arguments, status=status)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield every regular file that is UTF-8 text: its path in the tree, and the text."""
        for folder, _, names in os.walk(self.home):
            for name in names:
                path = Path(folder, name)
                if path.is_symlink():
                    continue
                data = path.read_bytes()
                if b"\0" in data[:8192]:
                    continue
                try:
                    yield path.relative_to(self.home).as_posix(), data.decode()
                except UnicodeDecodeError:
                    continue


def check_starts(tree: Tree) -> dict[str, Any]:
    """The interpreter starts, finds itself, and imports what comes from outside of it."""
    code = (
        "import ssl, sqlite3, zlib, ctypes, hashlib, sys; print(sys.prefix, sys.version.split()[0])"
    )
    done = run(tree.python, "-I", "-B", "-c", code)
    assert done.out.split("\n")[0] == f"{tree.home} {tree.key.version}"
    answer: dict[str, Any] = json.loads(run(tree.python, "-I", "-B", "-c", _ASK).out)
    return answer


def check_sysconfig(tree: Tree) -> None:
    """Neither the variables nor the Makefile know any place or compiler of the build machine."""
    home = str(tree.home)
    answer = json.loads(run(tree.python, "-I", "-B", "-c", _ASK).out)
    for kind in ("variables", "makefile"):
        for name, value in answer[kind].items():
            if not isinstance(value, str):
                continue
            rest = value.replace(home, "").replace(shlex.quote(home), "")
            assert not PREFIX.search(rest), (kind, name, value)
            assert not _BUILD_PLACES.search(rest), (kind, name, value)
            if name not in RECORDS_OF_THE_BUILD and not name.startswith("LLVM_"):
                assert not _BUILD_TOOLS.search(rest), (kind, name, value)
    variables = answer["variables"]
    name = f"python{tree.minor}"
    assert variables["prefix"] == variables["exec_prefix"] == answer["prefix"] == home
    assert variables["LIBDIR"] == f"{home}/lib"
    assert variables["INCLUDEPY"] == f"{home}/include/{name}"
    assert variables["BINDIR"] == f"{home}/bin"
    assert Path(variables["LIBPL"]).is_dir()
    assert Path(variables["INCLUDEPY"], "Python.h").is_file()
    assert all(path.startswith(home) for path in answer["paths"].values())
    tool = r"(\w+-linux-\w+-)?"  # a distribution's own compilers carry the machine in their names
    assert re.fullmatch(f"{tool}ar", variables["AR"])
    assert re.match(rf"{tool}g?cc(\s|$)", variables["CC"])
    if "$" not in home:
        assert answer["makefile"]["prefix"] == home
        assert answer["makefile"]["LIBDIR"] == f"{home}/lib"


def check_no_leftovers(tree: Tree) -> None:
    """No text in the tree names the build-time prefix: kitbag's own scan, and one by us."""
    home = str(tree.home)
    files, found = {}, []
    for path, text in tree.texts():
        if path.startswith(".kitbag/"):
            continue
        files[path] = text.encode()
        if "/install" in text:
            lines = enumerate(text.replace(home, "").split("\n"), 1)
            found += [(path, number, line) for number, line in lines if PREFIX.search(line)]
    assert not found
    assert not leftover_prefixes(tree.key, files, home)
    assert len(files) > 300


def check_records(tree: Tree) -> int:
    """Every row of every RECORD tells the truth; returns how many had a digest."""
    site = tree.library / "site-packages"
    count = 0
    for record in site.glob("*.dist-info/RECORD"):
        for path, digest, size in csv.reader(record.read_text().splitlines()):
            data = Path(os.path.normpath(site / path)).read_bytes()
            if digest:
                algorithm, _, expected = digest.partition("=")
                actual = hashlib.new(algorithm, data).digest()
                assert base64.urlsafe_b64encode(actual).rstrip(b"=").decode() == expected, path
                assert int(size) == len(data), path
                count += 1
    return count


def check_scripts(tree: Tree) -> None:
    """Every script that the build brings starts its own interpreter."""
    minor = tree.minor
    for name in ("pip", f"pip{minor}"):
        out = tree.command(name, "--version").out
        assert out.endswith(f"(python {minor})\n")
        assert str(tree.library / "site-packages" / "pip") in out
    assert "pip" in tree.command("pip3", "list").out
    assert tree.command("pip3", "check").out == "No broken requirements found.\n"
    for name in ("pydoc3", f"pydoc{minor}"):
        assert "Help on module textwrap" in tree.command(name, "textwrap").out
    if (tree.home / "bin" / "2to3").exists():
        assert "Usage: 2to3" in tree.command("2to3", "--help").out
    # Without Tk IDLE gets as far as to say so; with it, as far as its own usage.
    idle = tree.command("idle3", "-h", status=None)
    assert "USAGE: idle" in idle.out + idle.err or "Tk" in idle.err or "tkinter" in idle.err, idle
    for script in sorted((tree.home / "bin").iterdir()):
        if not script.is_symlink() and script.read_bytes()[:2] == b"#!":
            header = script.read_bytes()[:400].decode().split("\n")[0]
            assert header in (f"#!{tree.python}", "#!/bin/sh"), script
            assert " " in header[2:].strip() or len(header) <= 127


def check_config(tree: Tree) -> None:
    """`python3-config` is right about this tree, also in words that a shell takes apart."""
    home, name = str(tree.home), f"python{tree.minor}"
    assert tree.command("python3-config", "--prefix").out.strip() == home
    assert tree.command("python3-config", "--exec-prefix").out.strip() == home
    include = f"-I{home}/include/{name}"
    assert shlex.split(tree.command("python3-config", "--includes").out) == [include, include]
    assert include in shlex.split(tree.command("python3-config", "--cflags").out)
    words = shlex.split(tree.command("python3-config", "--ldflags", "--embed").out)
    assert f"-L{home}/lib" in words
    assert f"-l{name}" in words
    assert all(Path(word[2:]).is_dir() for word in words if word.startswith(("-L", "-I")))
    assert Path(tree.command("python3-config", "--configdir").out.strip()).is_dir()


def make_venv(tree: Tree, place: Path) -> Path:
    """Make a virtual environment with pip and return its python; both must work."""
    run(tree.python, "-m", "venv", place)
    python = place / "bin" / "python"
    out = run(python, "-c", "import sys; print(sys.prefix); print(sys.base_prefix)").out
    assert out.split("\n")[:2] == [str(place), str(tree.home)]
    assert str(place) in run(place / "bin" / "pip", "--version").out
    assert run(place / "bin" / "pip", "check").out == "No broken requirements found.\n"
    return python


def check_extension_from_sdist(tree: Tree, folder: Path) -> None:
    """In a virtual environment pip builds a C extension from an sdist, and it runs."""
    python = make_venv(tree, folder / "environment")
    sdist = extension.write_sdist(folder / "sdist")
    run(python, "-m", "pip", "install", "--quiet", sdist)
    code = f"import {extension.NAME} as probe; print(probe.version())"
    assert run(python, "-c", code).out.strip() == str(tree.key.version)
    assert extension.NAME in run(python, "-m", "pip", "list").out


def check_extension_by_setuptools(tree: Tree, folder: Path) -> None:
    """The setuptools that the build brings (before 3.12) compiles with the build's own flags."""
    sources = extension.write_sources(folder / "sources")
    run(tree.python, "setup.py", "--quiet", "build_ext", "--inplace", cwd=sources)
    code = f"import {extension.NAME} as probe; print(probe.version())"
    assert run(tree.python, "-c", code, cwd=sources).out.strip() == str(tree.key.version)


def check_compiles(tree: Tree, folder: Path) -> None:
    """The compiler with sysconfig's values, each used as what it is: a command line or a path."""
    sources = extension.write_sources(folder / "plain")
    code = f"{extension.COMPILE}\ncompile_extension('{extension.NAME}.c', '.')"
    run(tree.python, "-B", "-c", code, cwd=sources)
    code = f"import {extension.NAME} as probe; print(probe.version())"
    assert run(tree.python, "-B", "-c", code, cwd=sources).out.strip() == str(tree.key.version)


def check_all(tree: Tree, folder: Path) -> None:
    """Everything that holds in any root, also one with blanks and letters outside of ASCII."""
    check_starts(tree)
    check_sysconfig(tree)
    check_no_leftovers(tree)
    assert check_records(tree) > 300
    check_scripts(tree)
    check_config(tree)
    check_compiles(tree, folder)
