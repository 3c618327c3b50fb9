"""``kitbag pack`` in a terminal, as a person uses it: keys in, screens out."""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
import signal
import subprocess
import sys

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_installer.cli.terminal import human_size
from kitbag_installer.hosts import this_host
from kitbag_packer.recipes.recipe import read_recipe
from support.mirror import make_mirror
from support.pty import (
    BACKSPACE,
    CTRL_C,
    CTRL_D,
    CTRL_U,
    DOWN,
    ENTER,
    ESCAPE,
    SANE,
    SPACE,
    TAB,
    Terminal,
)
from support.require import require
from support.snapshots import snapshot
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.webserver import serving

NAMES = ("linux", "linux-3.14", "freethreaded", "aarch64", "macos-arm64", "windows")
PYTHONS, MACHINES, SPECIAL = "Which Pythons?", "For which machines?", "Anything special?"
FILE, GO_ON, SAVE, RECIPE = "Which file shall it be?", "Pack this", "Save the", "is the recipe?"
PROMPTS = (PYTHONS, MACHINES, SPECIAL, FILE, GO_ON, SAVE)
LINUX, MACOS = "linux-x86_64-gnu", "macos-aarch64-none"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """A folder of archives for x86-64 and others, with their digests."""
    host = this_host()
    require((host.os, host.arch, host.libc) == ("linux", "x86_64", "gnu"), "needs Linux on x86-64")
    folder = tmp_path_factory.mktemp("catalog")
    archives = [make_synthetic_archive(name, folder) for name in NAMES]
    sums = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in archives]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "work"
    made.mkdir()
    return made


def environment(**changes):
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        **changes,
    }


def kitbag(catalog, folder, *words, env=None, **options):
    command = [sys.executable, "-m", "kitbag_packer", "pack", "--catalog", str(catalog), *words]
    return Terminal(command, folder=folder, env=env or environment(), **options)


def answer(terminal, *answers):
    """Wait for each question and type its answer."""
    for question, keys in answers:
        terminal.wait_until(functools.partial(_asks, question), question)
        terminal.type(*keys)


def _asks(question, screen):
    asked = [line for line in screen.splitlines() if line.startswith("? ")]
    return bool(asked) and question in asked[-1]


def rerun(command, folder):
    """Run the command line that was printed, elsewhere, and return the status."""
    words = shlex.split(command)
    assert words[0] == "kitbag"
    done = subprocess.run(
        [sys.executable, "-m", "kitbag_packer", *words[1:]],
        cwd=folder, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def printed_command(terminal):
    _, found, after = terminal.everything.partition("The same without questions:\n")
    assert found
    return after.splitlines()[0].strip()


def test_to_a_bundle_and_to_the_command_that_makes_the_same(catalog, folder, tmp_path):
    with kitbag(catalog, folder, columns=240) as terminal:
        answer(terminal, (PYTHONS, (SPACE, ENTER)), (MACHINES, ENTER), (SPECIAL, ENTER))
        answer(terminal, (FILE, (CTRL_U, "my tools.kitbag", ENTER)), (GO_ON, ENTER), (SAVE, ENTER))
        assert terminal.finish() == 0
        assert terminal.settings == SANE
        command = printed_command(terminal)
    assert os.listdir(folder) == ["my tools.kitbag"]
    with Bundle.open(folder / "my tools.kitbag") as bundle:
        keys = [str(build.key) for build in bundle.manifest.builds]
    assert keys == [SYNTHETIC["linux-3.14"].key]
    other = tmp_path / "other"
    other.mkdir()
    rerun(command, other)
    assert (other / "my tools.kitbag").read_bytes() == (folder / "my tools.kitbag").read_bytes()


def test_search_and_choose_several(catalog, folder):
    with kitbag(catalog, folder, columns=240) as terminal:
        terminal.wait_for(PYTHONS)
        terminal.type("2.7")
        terminal.wait_for("nothing here has this in it")
        # Nothing is found, so nothing is chosen; a search ends when something is, or with Ctrl-U.
        terminal.type(SPACE, TAB, CTRL_U, "free")
        screen = terminal.wait_until(lambda screen: "3.13t" in screen and "3.14" not in screen)
        assert "●" not in screen
        terminal.type(SPACE)
        terminal.wait_until(lambda screen: screen.count("●") == 1 and "3.14" in screen)
        terminal.type("3.13x", BACKSPACE, SPACE)
        terminal.wait_until(lambda screen: screen.count("●") == 2)
        terminal.type(ENTER)
        screen = terminal.wait_for(MACHINES, "this host")
        assert f"» ● {LINUX}" in screen
        assert f"○ {MACOS}   no 3.13t" in screen
        terminal.type("mac", SPACE, ENTER)
        answer(terminal, (SPECIAL, ENTER), (FILE, ENTER))
        assert f"no 3.13t for {MACOS}" in terminal.wait_for(GO_ON)
        answer(terminal, (GO_ON, "y"), (SAVE, "n"))
        assert terminal.finish() == 0
        assert f"cpython-3.13+freethreaded-{LINUX} --target" in printed_command(terminal)
    with Bundle.open(folder / "python.kitbag") as bundle:
        keys = {str(build.key) for build in bundle.manifest.builds}
    assert keys == {SYNTHETIC[name].key for name in ("linux", "freethreaded", "macos-arm64")}


# The other keys at one list, one path and one yes-or-no.
@pytest.mark.parametrize(
    ("number", "key"),
    [(number, CTRL_C) for number in range(len(PROMPTS))]
    + [(number, key) for number in (0, 3, 4) for key in (CTRL_D, ESCAPE)],
)
def test_to_stop_at_any_question_leaves_nothing(catalog, folder, home, number, key):
    (folder / "old.kitbag").write_bytes(b"old")
    before = snapshot(folder), snapshot(home)
    keys = [(SPACE, ENTER), ENTER, ENTER, ENTER, ENTER]
    with kitbag(catalog, folder) as terminal:
        answer(terminal, *zip(PROMPTS[:number], keys, strict=False), (PROMPTS[number], key))
        assert terminal.finish() == 130
        assert terminal.settings == SANE
        assert terminal.screen.splitlines()[-1] == "kitbag: error: stopped; nothing was written"
    assert (snapshot(folder), snapshot(home)) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_as_it_was(catalog, folder, number):
    with kitbag(catalog, folder) as terminal:
        terminal.wait_for(PYTHONS, "»")
        assert terminal.settings != SANE
        terminal.send_signal(number)
        assert terminal.finish() == 130
        assert terminal.settings == SANE
        assert "Traceback" not in terminal.everything
    assert os.listdir(folder) == []


def test_a_terminal_that_goes_away_ends_it(catalog, folder):
    with kitbag(catalog, folder) as terminal:
        answer(terminal, (PYTHONS, (SPACE, ENTER)))
        terminal.wait_for(MACHINES)
        assert terminal.hang_up() != 0
    assert os.listdir(folder) == []


def test_a_refused_plan_writes_nothing(catalog, folder):
    with kitbag(catalog, folder) as terminal:
        answer(terminal, (PYTHONS, (SPACE, ENTER)), (MACHINES, ENTER), (SPECIAL, ENTER))
        answer(terminal, (FILE, ENTER), (GO_ON, "n"))
        assert terminal.finish() == 130
        assert "stopped before anything was fetched" in terminal.screen
    assert os.listdir(folder) == []


def test_a_file_that_is_there(catalog, folder):
    old = folder / "python.kitbag"
    old.write_bytes(b"old")
    (folder / "sub").mkdir()
    with kitbag(catalog, folder) as terminal:
        answer(terminal, (PYTHONS, (SPACE, ENTER)), (MACHINES, ENTER), (SPECIAL, ENTER))
        answer(terminal, (FILE, (CTRL_U, "none/x", ENTER)))
        terminal.wait_for("there is no folder")
        terminal.type(CTRL_U, "su", TAB)
        terminal.wait_for("sub/")
        terminal.type(CTRL_U, "python.kitbag", ENTER)
        answer(terminal, ("Replace it?", ENTER), (FILE, ENTER), ("Replace it?", "y"))
        terminal.wait_for(GO_ON)
        assert old.read_bytes() == b"old"
        answer(terminal, (GO_ON, ENTER), (SAVE, ENTER))
        assert terminal.finish() == 0
    with Bundle.open(old) as bundle:
        assert len(bundle.manifest.builds) == 1


def test_a_recipe_with_what_only_it_can_say(catalog, folder):
    with kitbag(catalog, folder, columns=240) as terminal:
        answer(terminal, (PYTHONS, (SPACE, ENTER)), (MACHINES, ENTER), (SPECIAL, "y"))
        answer(terminal, ("A file or a folder?", (DOWN, ENTER)))
        answer(terminal, ("How shall it install?", (SPACE, ENTER)))
        answer(terminal, ("Which folder", (CTRL_U, "kit", ENTER)), (GO_ON, ENTER), (RECIPE, ENTER))
        assert terminal.finish() == 0
        command = printed_command(terminal)
    recipe = read_recipe(folder / "kitbag.toml")
    assert (recipe.python, recipe.targets, recipe.output) == (("3.14",), (LINUX,), "kit")
    assert recipe.install.default is True
    made = snapshot(folder / "kit")
    assert made
    (folder / "kit").rename(folder / "first")
    rerun(command, folder)
    assert snapshot(folder / "kit") == made


def test_sizes_are_asked_for_and_known_afterwards(tmp_path, folder):
    mirror = make_mirror(tmp_path / "mirror", ("linux", "pypy"))
    sizes = {each.path.name: human_size(each.path.stat().st_size) for each in mirror.archives}
    with serving(mirror.folder) as server:
        words = mirror.arguments(server.url)[2:]
        for run, remark in enumerate(("", "  (here already)")):
            with kitbag(mirror.list, folder, *words) as terminal:
                answer(terminal, (PYTHONS, (SPACE, "pypy", SPACE, ENTER)), (MACHINES, ENTER))
                answer(terminal, (SPECIAL, ENTER), (FILE, (CTRL_U, f"{run}.kitbag", ENTER)))
                screen = terminal.wait_for(GO_ON)
                for each in mirror.archives:
                    assert f"  {sizes[each.path.name]}  {each.key}{remark}" in screen
                assert ("to fetch: nothing" in screen) == bool(run)
                assert [each.method for each in server.requests].count("GET") == 2 * run
                answer(terminal, (GO_ON, ENTER), (SAVE, ENTER))
                assert terminal.finish() == 0
    assert (folder / "0.kitbag").read_bytes() == (folder / "1.kitbag").read_bytes()


def test_nobody_has_to_wait_for_sizes(tmp_path, folder):
    mirror = make_mirror(tmp_path / "mirror", ("linux",))
    with serving(mirror.folder, delay=600) as server:
        words = mirror.arguments(server.url)[2:]
        with kitbag(mirror.list, folder, *words, timeout=20) as terminal:
            answer(terminal, (PYTHONS, (SPACE, ENTER)), (MACHINES, ENTER), (SPECIAL, ENTER))
            answer(terminal, (FILE, ENTER))
            terminal.wait_for("asking how large the archives are")
            terminal.type(CTRL_C)
            assert terminal.finish() == 130
            assert terminal.settings == SANE
            assert "asking" not in terminal.screen
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (12, 40)])
def test_long_lists_scroll_and_colour_is_left_out(tmp_path, folder, rows, columns):
    versions = [f"3.{minor}.{patch}" for minor in range(8, 16) for patch in range(5)]
    listed = "".join(
        f"{'0' * 64}  cpython-{version}+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz\n"
        for version in versions
    )
    (tmp_path / "SHA256SUMS").write_text(listed)
    env = environment(NO_COLOR="1")
    sums = tmp_path / "SHA256SUMS"
    with kitbag(sums, folder, env=env, rows=rows, columns=columns) as terminal:
        screen = terminal.wait_for(PYTHONS, "» ○ 3.15")
        assert "3.8.0" not in screen
        terminal.type(DOWN * (len(versions) - 1))
        screen = terminal.wait_for("» ○ 3.8.0")
        assert PYTHONS in screen
        assert all(len(line) <= columns for line in screen.splitlines())
        terminal.type(CTRL_C)
        assert terminal.finish() == 130
        assert b"\x1b[38" not in terminal.raw
        assert b";38" not in terminal.raw


def test_the_key_of_an_archive_is_no_question(catalog, folder):
    with kitbag(catalog, folder, "--key", SYNTHETIC["linux"].key) as terminal:
        assert terminal.finish() == 2
        assert "--from" in terminal.screen


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr", "dumb"])
def test_without_a_terminal_nobody_is_asked(catalog, folder, closed):
    streams = {"stdin": "</dev/null", "stdout": ">out", "stderr": "2>err", "dumb": ""}
    line = f'"$@" {streams[closed]}'
    env = environment(TERM="dumb") if closed == "dumb" else environment()
    command = [sys.executable, "-m", "kitbag_packer", "pack", "--catalog", str(catalog)]
    with Terminal(["/bin/sh", "-c", line, "sh", *command], folder=folder, env=env) as terminal:
        assert terminal.finish() == 2
        said = (folder / "err").read_text() if closed == "stderr" else terminal.everything
    for word in ("kitbag: error: ", "3.13", "--from", "-f", "-o"):
        assert word in said
    assert PYTHONS not in said
