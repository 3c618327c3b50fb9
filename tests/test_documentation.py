"""The documentation: what it shows is run, what it refers to exists, and it names everything.

Each page with console sessions is one test. A page is written for version 3.13.5 on x86_64 in
``/home/you``; here that is the interpreter at hand, this machine, and a scratch folder.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kitbag_packer.errors
from kitbag_bundles.errors import KitbagError
from kitbag_packer.cli import VERBS
from kitbag_packer.upstream import parse_filename
from support.bundled import tiny_bundle
from support.interpreters import packable_interpreters, running_interpreter
from support.members import below, write_archive
from support.mirror import make_mirror
from support.pages import fits, read_page, run_session
from support.pbs import make_pbs_archive
from support.projects import make_project
from support.require import require
from support.trees import linux_members, macos_members, windows_members
from support.wheels import make_wheel, pylock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.upstream import UpstreamName
    from support.interpreters import Interpreter

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = tuple(REPOSITORY / name for name in ("bundles", "installer", "packer"))
TEXTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
PAGES = [path for path in TEXTS if "```console" in path.read_text("utf-8")]
REFERENCE = REPOSITORY / "docs" / "reference" / "command-line.md"
TIMEOUT = 240.0

SHOWN_VERSION, SHOWN_MINOR, SHOWN_MACHINE = "3.13.5", "3.13", "x86_64"
# Folders that a page may use as if it were alone on the machine.
FOLDERS = ("/home/you", "/opt", "/srv", "/media")
ALLOWED_HOSTS = {
    "github.com",  # python-build-standalone's releases, where archives come from
    "downloads.python.org",  # PyPy's
    "keepachangelog.com",
    "packaging.python.org",  # the format of wheels
    "peps.python.org",
    "raw.githubusercontent.com",  # uv's list of builds
    "releases.astral.sh",  # python-build-standalone's mirror and index
    "semver.org",
    "www.w3.org",  # the name space of SVG
}
_HOST = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:org|com|io|net|dev|sh|edu|gov)\b(?!/?\w*\()")
_FILE_LIKE = re.compile(r"install\.sh")


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _said(filename: str) -> UpstreamName:
    found = parse_filename(filename)
    assert found is not None, filename
    return found


def _parsers() -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    for verb, (module_name, _) in VERBS.items():
        module = importlib.import_module(module_name)
        parser = argparse.ArgumentParser(prog=f"kitbag {verb}", exit_on_error=False)
        module.add_arguments(parser)
        yield verb, parser, module.EPILOG


def _section(text: str, heading: str) -> str:
    """The part of a page below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found.group(1)


def _of_this_machine() -> dict[str, str]:
    """How its package index is reached."""
    wanted = re.compile(r"(PIP|UV|SSL|HTTPS?|ALL|NO)_\w+", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if wanted.fullmatch(name)}


class Surroundings:
    """The machine that a page is about, below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.places = {shown: folder / shown.split("/")[1] for shown in FOLDERS}
        self.home = self.places["/home/you"]
        self.commands = folder / "commands"
        self.interpreter: Interpreter | None = None
        self.tmp = folder / "tmp"
        for place in (*self.places.values(), self.commands, self.tmp):
            place.mkdir()
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{self.commands}:/usr/bin:/bin",
            "TMPDIR": str(self.tmp),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "SHELL": "/bin/bash",
            "COLUMNS": "100",
            "UV_CACHE_DIR": str(self.tmp / "uv"),
            "UV_NO_CONFIG": "1",
            "UV_OFFLINE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        sources = ":".join(map(str, SOURCES))
        self._program(
            "kitbag",
            f"PYTHONPATH={shlex.quote(sources)} exec {shlex.quote(sys.executable)} "
            '-P -m kitbag_packer "$@"',
        )
        self.needs("command", "python3")

    def needs(self, kind: str, what: str) -> None:
        """Bring along what a page asks for."""
        name, *words = what.split() or [""]
        if kind in ("slim", "whole"):
            release = _said(name).release
            archive = make_pbs_archive(self.real(), slim=kind == "slim", release=release)
            shutil.copyfile(archive, self.home / self.here(name))
        elif kind == "foreign":
            target = _said(name).target
            members = linux_members(
                self.here(str(_said(name).version)), target.cpu, libc=target.libc
            )
            write_archive(below("python", members), self.home / self.here(name), ".tar.gz")
        elif kind == "upstream":
            self._upstream(name)
        elif kind == "project":
            self._project(name)
        elif kind == "bundle":
            made = tiny_bundle(self.tmp / name, *words)
            made.rename(self.home / name)
        elif kind == "index":
            self.environment = {**_of_this_machine(), **self.environment}
            for each in ("UV_NO_CONFIG", "UV_OFFLINE", "PIP_NO_INDEX"):
                del self.environment[each]
        elif kind == "command" and what == "uv":
            found_uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.defpath}")
            require(found_uv, "needs the command 'uv'")
            (self.commands / "uv").symlink_to(str(found_uv))
        elif kind == "command":
            real = running_interpreter() if what == "python3" else self.real()
            self._program(self.here(what), f'exec {shlex.quote(str(real.path))} "$@"')
        else:
            raise ValueError(f"no such need: {kind} {what}")

    def _upstream(self, name: str) -> None:
        """Have ``name`` where kitbag looks archives up and fetches them from."""
        said = _said(name)
        folder = self.tmp / "upstream"
        if "KITBAG_CATALOG" not in self.environment:
            make_mirror(folder)
            self.environment["KITBAG_CATALOG"] = str(folder / "list.json")
            self.environment["KITBAG_MIRROR"] = folder.as_uri()
        if str(said.target) == f"linux-{platform.machine()}-gnu":
            path = make_pbs_archive(self.real(), slim=True, release=said.release)
        else:
            path = self.tmp / self.here(name)
            version = self.here(str(said.version))
            members = {
                "linux": lambda: linux_members(version, said.target.cpu, libc=said.target.libc),
                "macos": lambda: macos_members(version, said.target.arch, least=(11, 0)),
                "windows": lambda: windows_members(version, said.target.arch),
            }[said.target.os]()
            write_archive(below("python", members), path, said.suffix)
        have = [each for each in folder.glob("*/*") if each.name != path.name]
        make_mirror(folder, extra=[*have, path])

    def _project(self, name: str) -> None:
        """Have a project with one dependency, and its lock, in the home folder."""
        folder = make_project(self.home / name, name, scripts={name: f"{name}:main"})
        wheel = make_wheel(folder / "wheels", "click", "8.1.7")
        (folder / "pylock.toml").write_text(pylock_of([wheel]).replace(f"{folder}/", ""))

    def real(self) -> Interpreter:
        """The interpreter that stands for version 3.13.5."""
        if self.interpreter is None:
            found = packable_interpreters((3, 9))
            require(found, "no CPython with a prefix of its own on this machine")
            self.interpreter = found[0]
        return self.interpreter

    def here(self, text: str) -> str:
        """What a page says, said for this machine."""
        for shown, place in self.places.items():
            text = re.sub(rf"(?<![\w.~/]){shown}(?![\w.-])", str(place), text)
        return self._versions(text).replace(SHOWN_MACHINE, platform.machine())

    def shown(self, text: str) -> str:
        """What this machine says, said as a page would, but for versions."""
        for shown, place in self.places.items():
            text = text.replace(str(place), shown)
        return text

    def expected(self, text: str) -> str:
        """Output as a page shows it, with the versions of this machine."""
        return self._versions(text).replace(SHOWN_MACHINE, platform.machine())

    def _versions(self, text: str) -> str:
        if self.interpreter is None:
            return text
        text = text.replace(SHOWN_VERSION, self.interpreter.full_version)
        pattern = rf"(?<![\d.]){re.escape(SHOWN_MINOR)}(?!\.?\d)"
        return re.sub(pattern, self.interpreter.minor, text)

    def _program(self, name: str, line: str) -> None:
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        path.chmod(0o755)


def _pages() -> Iterator[object]:
    for path in PAGES:
        page = read_page(path.read_text("utf-8"))
        if page.commands:
            marks = [pytest.mark.slow] if page.slow else []
            yield pytest.param(path, marks=marks, id=_name(path))


@pytest.mark.parametrize("path", [*_pages()])
def test_what_a_page_shows_is_what_happens(path: Path, tmp_path: Path) -> None:
    page = read_page(path.read_text("utf-8"))
    around = Surroundings(tmp_path)
    for kind, what in page.needs:
        around.needs(kind, what)
    outcomes = run_session(
        tuple(around.here(command.text) for command in page.commands),
        around.home,
        around.environment,
        TIMEOUT,
    )
    wrong = []
    for command, outcome in zip(page.commands, outcomes, strict=False):
        lines = tuple(around.shown(line) for line in outcome.lines)
        expected = tuple(around.expected(line) for line in command.expected or ())
        unfit = command.expected is not None and not fits(expected, lines)
        if unfit or command.status not in (None, outcome.status):
            place = f"{_name(path)}:{command.line}: $ {command.text}"
            wrong.append("\n".join([place, *lines, f"(status {outcome.status})"]))
    assert not wrong, "\n\n".join(wrong)
    assert len(outcomes) == len(page.commands), "the session ended early"


def test_links_lead_somewhere() -> None:
    dead = []
    for path in TEXTS:
        text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            place, _, anchor = target.partition("#")
            if "://" in place:
                continue
            other = (path.parent / place).resolve() if place else path
            if not other.exists() or (anchor and anchor not in _anchors(other)):
                dead.append(f"{_name(path)}: {target}")
    assert not dead


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_every_page_is_in_the_navigation() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"[\w./-]+\.md\b", text)
    pages = [
        path.relative_to(REPOSITORY / "docs").as_posix() for path in TEXTS if "docs" in path.parts
    ]
    assert sorted(listed) == sorted(pages)


def test_no_page_names_an_unknown_host() -> None:
    assets = sorted((REPOSITORY / "docs" / "assets").glob("*.*"))
    found = {}
    for path in (*TEXTS, *assets, REPOSITORY / "mkdocs.yml"):
        text = _FILE_LIKE.sub("", path.read_text("utf-8"))
        hosts = set(_HOST.findall(text)) - ALLOWED_HOSTS
        if hosts:
            found[_name(path)] = hosts
    assert not found


def test_the_picture_shows_no_path_of_the_machine_that_made_it() -> None:
    path = REPOSITORY / "docs" / "assets" / "session.svg"
    text = path.read_text("utf-8")
    assert path.stat().st_size < 60_000
    assert "kitbag pack" in text
    assert not re.search(r"/(root|tmp|work|home/(?!you\b))", text)
    assert "url(" not in text
    assert "<image" not in text


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_has_every_option(verb: str) -> None:
    section = _section(REFERENCE.read_text("utf-8"), f"kitbag {verb}")
    parser = next(parser for name, parser, _ in _parsers() if name == verb)
    known = {"-h", "--help"}
    for action in parser._actions:
        known.update(action.option_strings)
        words = action.option_strings or [str(action.metavar)]
        for word in words:
            if word not in ("-h", "--help"):
                assert re.search(rf"`(?:[^`]*[ |])?{re.escape(word)}(?:[ =|][^`]*)?`", section), (
                    word
                )
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section))
    assert named <= known | _elsewhere(section)


def _elsewhere(section: str) -> set[str]:
    """Options that a section names as another command's: `uv --managed-python`."""
    return set(re.findall(r"`(?:python3?|pip|uv|sha256sum)[^`]* (--?[a-z-]+)[^`]*`", section))


def test_the_reference_has_every_verb_in_order() -> None:
    headings = re.findall(r"^## kitbag (\w+)$", REFERENCE.read_text("utf-8"), re.MULTILINE)
    assert headings == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_examples_in_the_help_can_be_parsed(verb: str) -> None:
    _, parser, epilog = next(each for each in _parsers() if each[0] == verb)
    lines = re.sub(r"\\\n\s*", "", epilog).splitlines()[1:]
    examples = [re.split(r"\s{3,}(?=\w)", line.strip())[0] for line in lines if line.strip()]
    assert examples
    for example in examples:
        words = shlex.split(example.rpartition("&& ")[2].partition(" > ")[0])
        if re.fullmatch(r"[A-Z_]+=\S+", words[0]):
            del words[0]
        at = words.index(verb)
        start, rest = words[:at], words[at + 1 :]
        if start[0] == "python3":
            rest = [start[1], *rest]
        else:
            assert start == ["kitbag"]
        parser.parse_args(rest)


def test_the_reference_has_every_variable_of_kitbag() -> None:
    read = set()
    for folder in SOURCES:
        for path in folder.rglob("*.py"):
            read.update(re.findall(r"\bKITBAG_[A-Z_]+\b", path.read_text("utf-8")))
    section = _section(REFERENCE.read_text("utf-8"), "Environment")
    assert set(re.findall(r"\bKITBAG_[A-Z_]+\b", section)) == read


def test_the_reference_has_every_error() -> None:
    assert issubclass(kitbag_packer.errors.DownloadError, KitbagError)

    def tree(kind: type[KitbagError]) -> Iterator[type[KitbagError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    section = _section(REFERENCE.read_text("utf-8"), "Errors")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", section, re.MULTILINE))
    assert rows == {kind.code: str(kind.exit_status) for kind in tree(KitbagError)}
    how_to = (REPOSITORY / "docs" / "how-to" / "troubleshoot.md").read_text("utf-8")
    missing = {code for code in rows if f"`{code}`" not in how_to}
    assert not missing


@pytest.mark.parametrize(
    ("expected", "lines", "right"),
    [
        (("a … c",), ("a b c",), True),
        (("a … c",), ("a b d",), False),
        (("a", "…"), ("a",), True),
        (("a", "…", "d"), ("a", "b", "c", "d"), True),
        (("a",), ("a", "b"), False),
        (("(a)",), ("(a)",), True),
    ],
)
def test_an_ellipsis_stands_for_any_text(
    expected: tuple[str, ...], lines: tuple[str, ...], right: bool
) -> None:
    assert fits(expected, lines) is right


def test_a_page_is_read_as_a_session(tmp_path: Path) -> None:
    page = read_page(
        "<!-- test: setup\nx=3\n-->\n```console\n$ echo \\\n  $x\n3\n\n$ false\n$ echo $?\n1\n```\n"
        "<!-- test: skip no such command -->\n```console\n$ nothing\n```\n"
        "<!-- test: status 4 -->\n```console\n$ (exit 4)\n```\n"
    )
    assert [command.status for command in page.commands] == [0, 0, None, 0, 4]
    outcomes = run_session(
        tuple(command.text for command in page.commands), tmp_path, dict(os.environ), 20
    )
    assert [outcome.status for outcome in outcomes] == [0, 0, 1, 0, 4]
    assert outcomes[1].lines == ("3",)
    assert outcomes[3].lines == ("1",)
