"""What is done with an environment after its install, with a real interpreter."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from kitbag_installer.environments.receipts import read_receipt
from support.cli import TARGET_SIDE, assert_done, call, environment
from support.environments import with_environments
from support.installed import bare_environment
from support.journey import ODD, shared_bundle
from support.snapshots import dangling, snapshot, temporary
from support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_SAYS = "import sys\ndef main():\n    print(sys.prefix, *sys.argv[1:])\n    return 7\n"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return {
        "1": make_wheel(
            folder,
            "app",
            "1.0",
            files={"app/__init__.py": _SAYS, "app/data.txt": "1"},
            scripts={"app": "app:main", "app-old": "app:main"},
            data={"scripts/tool": "#!python\nimport sys\nprint(sys.executable)\n"},
        ),
        "2": make_wheel(
            folder, "app", "2.0", files={"app/__init__.py": _SAYS}, scripts={"app": "app:main"}
        ),
        "space": make_wheel(folder, "space-one", files={"space/one.py": "ONE = 1\n"}),
        "extra": make_wheel(folder, "extra", "3.0", scripts={"extra": "extra:main"}),
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory, slim_archive):
    return shared_bundle(tmp_path_factory, "slim.kitbag", slim_archive)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, base, wheels):
    path = tmp_path_factory.mktemp("bundle") / "app.kitbag"
    listed = {"app": [wheels["1"], wheels["space"]]}
    return with_environments(path, base, listed, expose={"app": ["app", "app-old"]})


@pytest.fixture(scope="module")
def newer(tmp_path_factory, base, wheels):
    path = tmp_path_factory.mktemp("bundle") / "newer.kitbag"
    return with_environments(path, base, {"app": [wheels["2"]]}, expose={"app": ["app"]})


class Place:
    """A root with its bin folder, at a path that may change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def root(self) -> Path:
        return self.path / "root"

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    @property
    def home(self) -> Path:
        return self.root / "envs" / "app"

    @property
    def site(self) -> Path:
        return next(self.home.glob("lib/python3*/site-packages"))

    def kitbag(self, verb, *words):
        return call(verb, *words, "--root", self.root)

    def install(self, bundle, *words):
        done = call("install", bundle, *words, "--root", self.root, "--bin-dir", self.bin)
        assert_done(done)
        return done


@pytest.fixture
def place(tmp_path, bundle):
    made = Place(tmp_path / "place")
    made.install(bundle)
    return made


def ran(*command: str | Path, status: int = 0) -> str:
    done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True)
    assert done.returncode == status, done
    return done.stdout


def add_package(place: Place, wheel: Path) -> None:
    """As a person does, with the environment's own interpreter as pip starts it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place.site)
    script = place.home / "bin" / "extra"
    script.write_text(f"#!{place.home}/bin/python\nimport extra\nextra.main()\n")
    script.chmod(0o755)
    (place.site / "extra.pth").write_text("import sys; sys.mine = 1\n")


def contents(place: Place) -> dict[str, object]:
    start = os.fspath(place.home)
    found = {}
    for path, thing in snapshot(place.home).items():
        if "/.kitbag/" not in path and "__pycache__" not in path:
            found[path.removeprefix(start)] = thing
    return found


def test_a_move_is_followed_any_number_of_times(place, wheels, tmp_path, bundle):
    add_package(place, wheels["extra"])
    for name in ("moved", ODD, "deep/" * 20 + "x", "place"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        place.path.rename(target)
        place.path = target
        assert place.kitbag("verify").status == 3
        done = place.kitbag("relocate")
        assert_done(done)
        assert re.search(r"^ ~ app: \d+ files, from /", done.out, re.MULTILINE)
        done = place.kitbag("verify", "app")
        assert (done.status, "added since" in done.out) == (0, True), done
        assert ran(place.bin / "app", "x y", status=7) == f"{place.home} x y\n"
        assert ran(place.home / "bin" / "tool").startswith(f"{place.home}/bin/python")
        assert ran(place.home / "bin" / "extra") == "extra 3.0\n"
        activate = f". {shlex.quote(f'{place.home}/bin/activate')}; command -v python"
        assert ran("sh", "-c", activate) == f"{place.home}/bin/python\n"
        assert not temporary(place.root)
        assert not dangling(place.path)
        assert place.kitbag("relocate").out.splitlines()[-1] == "app is where it was installed"


def test_what_was_moved_is_what_would_have_been_installed_there(place, tmp_path, bundle):
    place.path.rename(tmp_path / ODD)
    place.path = tmp_path / ODD
    assert_done(place.kitbag("relocate"))
    moved = contents(place)
    receipt = read_receipt(str(place.home))
    shutil.rmtree(place.path)
    place.install(bundle)
    assert contents(place) == moved
    assert read_receipt(str(place.home)) == receipt


def test_edits_of_a_person_outlive_a_move(place, tmp_path):
    config = place.home / "pyvenv.cfg"
    text = config.read_text().replace("= false", "= true")
    config.write_text(text)
    old = place.path
    place.path.rename(tmp_path / "new")
    place.path = tmp_path / "new"
    assert_done(place.kitbag("relocate"))
    assert (place.home / "pyvenv.cfg").read_text() == text.replace(str(old), str(place.path))
    assert "changed  pyvenv.cfg" in place.kitbag("verify", "app").out
    ran(place.bin / "app", status=7)


def test_the_one_before_moves_too(place, newer, tmp_path):
    place.install(newer)
    place.path.rename(tmp_path / "new")
    place.path = tmp_path / "new"
    assert_done(place.kitbag("relocate"))
    done = place.kitbag("rollback", "app")
    assert (done.status, done.out) == (0, " ~ app (app 2.0 → 1.0, +space-one 1.0)\n")
    assert ran(place.bin / "app-old", status=7) == f"{place.home}\n"
    assert place.kitbag("verify", "app").status == 0


def test_back_and_forth(place, newer):
    place.install(newer)
    assert sorted(os.listdir(place.bin))[:2] == ["app", "kitbag"]
    done = place.kitbag("rollback", "app", "--json")
    assert done.status == 0
    assert sorted(os.listdir(place.bin))[:2] == ["app", "app-old"]
    done = place.kitbag("rollback", "app")
    assert done.out == " ~ app (app 1.0 → 2.0, -space-one 1.0)\n"
    assert sorted(os.listdir(place.bin))[:2] == ["app", "kitbag"]
    ran(place.bin / "app", status=7)


def test_nothing_to_go_back_to(place):
    done = place.kitbag("rollback", "app")
    assert (done.status, done.out) == (4, "")
    assert "app: no other one was there before" in done.err


def test_damage_is_found_and_mended_and_what_was_added_stays(place, bundle, wheels):
    add_package(place, wheels["extra"])
    sound = contents(place)
    receipt = read_receipt(str(place.home))
    (place.site / "app" / "data.txt").write_text("2")
    (place.site / "space" / "one.py").unlink()
    (place.home / "bin" / "app").write_text("")
    done = place.kitbag("verify", "app")
    assert done.status == 3
    assert "missing  lib/python3" in done.out
    done = call("repair", bundle, "app", "--root", place.root, "--dry-run")
    assert (done.status, done.out.splitlines()[0]) == (0, "app: would mend 3 paths")
    done = call("repair", bundle, "--root", place.root)
    assert_done(done)
    assert "app: mended 3 paths" in done.out
    assert contents(place) == sound
    assert read_receipt(str(place.home)) == receipt
    assert ran(place.home / "bin" / "extra") == "extra 3.0\n"
    assert not temporary(place.root)
    before = snapshot(place.path)
    done = call("repair", bundle, "app", "--root", place.root)
    assert (done.status, done.out) == (0, "app: sound\n")
    assert snapshot(place.path) == before


@pytest.mark.parametrize("name", ["receipt.json", "contents.tsv"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_receipt_that_is_damaged_is_made_anew(place, bundle, wheels, name, lost):
    add_package(place, wheels["extra"])
    path = place.home / ".kitbag" / name
    path.unlink() if lost else path.write_text("{")
    assert place.kitbag("verify", "app").status == 3
    assert_done(call("repair", bundle, "app", "--root", place.root))
    assert place.kitbag("verify", "app").status == 0
    assert ran(place.home / "bin" / "extra") == "extra 3.0\n"


def test_another_bundle_mends_nothing(place, newer):
    (place.site / "app" / "data.txt").write_text("2")
    done = call("repair", newer, "app", "--root", place.root)
    assert (done.status, done.out) == (4, "")
    assert "app is another one than" in done.err
    done = call("repair", newer, "--root", place.root)
    assert done.status == 0
    assert "app is passed over" in done.err


def test_bytecode_on_request_and_mended(place, bundle):
    done = place.kitbag("compile", "app")
    assert re.fullmatch(r"app: compiled \d+ files\n", done.out), done
    assert place.kitbag("compile", "app").out == "app: bytecode up to date\n"
    assert "compiled ones" in place.kitbag("verify", "app").out
    caches = [*place.site.glob("**/__pycache__/*.pyc")]
    caches[0].write_bytes(b"")
    assert place.kitbag("verify", "app").status == 3
    assert_done(call("repair", bundle, "app", "--root", place.root))
    assert place.kitbag("verify", "app").status == 0
    source = place.site / "space" / "one.py"
    source.write_text("ONE = 22\n")
    assert place.kitbag("compile", "app").out.startswith("app: compiled 1 file,")
    assert place.kitbag("compile").out.endswith("app: bytecode up to date\n")


def test_a_build_that_is_needed_stays(place):
    before = snapshot(place.path)
    done = place.kitbag("uninstall", "any")
    assert done.status == 1
    assert re.search(r"needed by the environment app; .*: kitbag uninstall app cpython-", done.err)
    assert snapshot(place.path) == before
    done = place.kitbag("uninstall", *re.findall(r"kitbag uninstall (app) (\S+)", done.err)[0])
    assert_done(done)
    assert not place.root.exists()


def test_an_environment_goes_by_its_name(place, newer):
    place.install(newer)
    done = place.kitbag("uninstall", "app")
    assert (done.status, done.out) == (0, " - app\n")
    assert not (place.root / "envs").exists()
    assert sorted(os.listdir(place.root / ".kitbag")) == ["bin.json", "kitbag.pyz", "made.json"]
    assert not dangling(place.path)
    assert not (place.bin / "app").exists()
    assert place.kitbag("uninstall", "app").status == 2


def test_all_leaves_no_trace(place, newer, tmp_path):
    place.install(newer)
    done = place.kitbag("uninstall", "--all", "--json")
    assert '"removed-environments": [\n    "app"\n  ]' in done.out
    assert os.listdir(tmp_path) == []


def test_what_is_installed_is_told(place, newer):
    place.install(newer)
    line = place.kitbag("installed").out.splitlines()[-1]
    assert line.startswith("app  ")
    assert line.endswith("; can be rolled back)")
    assert "(1 package; cpython-" in line
    (place.home / "bin").rename(place.home / "lost")
    assert place.kitbag("installed", "app").status == 0
    assert place.kitbag("installed", "ape").status == 4


def test_the_doctor_examines_environments(place):
    done = place.kitbag("doctor", "app")
    lines = done.out.splitlines()
    assert (done.status, lines[-2]) == (0, "app: healthy"), done
    assert lines[-1].startswith("1 environment: no faults")
    (place.site / "space" / "one.py").unlink()
    script = place.home / "bin" / "app"
    script.write_text("#!/nowhere/python\n")
    done = place.kitbag("doctor", "app")
    assert done.status == 1
    assert re.search(r"environment-records: space_one-1.0.dist-info lacks space/one.py", done.out)
    assert "environment-scripts: " in done.out
    assert "cure: kitbag repair BUNDLE app --root" in done.out
    os.unlink(place.home / "bin" / "python")
    done = place.kitbag("doctor", "app", "--all-checks")
    assert "environment-interpreter: its interpreter can't be started" in done.out


def kitbag_run(place: Place, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*TARGET_SIDE, "run", "--root", str(place.root), *words]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, check=False
    )


def test_running_a_program(place):
    done = kitbag_run(place, "app", "--", "--json", "a b", "--", "-x")
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == f"{place.home} --json a b -- -x\n"
    assert kitbag_run(place, "app", "x").stdout == f"{place.home} x\n"
    done = kitbag_run(place, "app", "--command", "tool")
    assert (done.returncode, done.stdout) == (0, f"{place.home}/bin/python\n")


def test_it_runs_as_in_an_activated_environment(place):
    code = "import os, shutil, signal; print(os.environ['VIRTUAL_ENV'], shutil.which('tool'))"
    done = kitbag_run(
        place, "app", "--command", "python", "--", "-c", code, PYTHONHOME="", VIRTUAL_ENV="/x"
    )
    assert done.stdout == f"{place.home} {place.home}/bin/tool\n", done
    status = "grep SigIgn /proc/self/status"
    (place.home / "bin" / "shell").write_text(f"#!/bin/sh\n{status}\n")
    (place.home / "bin" / "shell").chmod(0o755)
    plain = subprocess.run(["sh", "-c", status], capture_output=True, text=True).stdout
    assert kitbag_run(place, "app", "--command", "shell").stdout == plain


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["ape"], 4, "has no environment 'ape'; it has app"),
        (["app", "--command", "ape"], 4, "app has no program 'ape'; it has app, app-old, tool"),
        (["app", "--command", "../x"], 4, "app has no program '../x'"),
        (["app", "--command", ""], 2, "--command is empty"),
        ([], 2, "NAME"),
    ],
)
def test_what_can_not_run(place, words, status, said):
    done = kitbag_run(place, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_must_be_told_where_there_are_several(tmp_path, base, wheels):
    bundle = with_environments(tmp_path / "x.kitbag", base, {"two": [wheels["1"]]})
    place = Place(tmp_path / "p")
    place.install(bundle)
    done = kitbag_run(place, "two")
    assert done.returncode == 2
    assert "name one with --command: app, app-old, tool" in done.stderr
    shutil.move(place.path, tmp_path / "q")
    place.path = tmp_path / "q"
    done = kitbag_run(place, "two", "--command", "app")
    assert (done.returncode, done.stdout) == (1, "")
    assert "two can't run: it was moved here from" in done.stderr
    assert sys.platform != "win32"
