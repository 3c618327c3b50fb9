import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from kitbag_installer.doctor.findings import CHECKS
from support.bundled import host_key, tiny_bundle
from support.cli import environment, finish, start
from support.commands import run_kitbag
from support.install import install_tiny

OLD, KEY = host_key("3.12.9"), host_key()
RIGHT = """#!/bin/sh
# Answers the start-up check, and then every question with what a good Python says.
case "$*" in
*" -c "*) exec @real@ "$@" ;;
*venv*) exec @real@ "$@" ;;
esac
shift 4
for name in "$@"; do
    echo "{\\"begin\\": \\"$name\\"}"
    case $name in
    @silent@) @do@ ;;
    esac
    rest='"module": "", "absent": false}'
    echo "{\\"end\\": \\"$name\\", \\"error\\": \\"$name is broken\\", $rest"
done
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.12.9", "3.13.5")


@pytest.fixture
def root(bundle, tmp_path):
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"))


def replace_interpreter(root, text: str, key=KEY) -> Path:
    program = Path(root.install_path(key), "bin", f"python{key.version.minor_text}")
    program.write_text(text)
    return program


def test_nothing_is_installed(capfd, tmp_path):
    done = run_kitbag(capfd, "doctor", "--root", tmp_path / "r")
    assert (done.status, done.out) == (4, "")
    assert f"there is no root at {tmp_path}/r; name the one" in done.err
    (tmp_path / "r").mkdir()
    done = run_kitbag(capfd, "doctor", "--root", tmp_path / "r")
    assert done == (0, f"nothing is installed in {tmp_path}/r\n", "")
    found = run_kitbag(capfd, "doctor", "--root", tmp_path / "r", "--json").json
    assert found == {
        "root": f"{tmp_path}/r",
        "healthy": True,
        "faults": 0,
        "advice": 0,
        "findings": [],
        "builds": [],
        "environments": [],
    }
    assert run_kitbag(capfd, "doctor", "--root", tmp_path / "r", "3.13").status == 4


def test_an_interpreter_that_does_not_answer(capfd, root):
    replace_interpreter(root, "#!/bin/sh\nsleep 3600\n")
    replace_interpreter(root, "#!/bin/sh\nkill -ILL $$\n", OLD)
    started = time.monotonic()
    done = run_kitbag(capfd, "doctor", "--root", root.path, "--time-limit", "0.5", "--jobs", "2")
    assert time.monotonic() - started < 10
    assert done.status == 1
    assert done.err == "kitbag: examining 2 builds; this may take a minute\n"
    lines = done.out.splitlines()
    assert lines[0] == f"{root.path}:"
    # In the order of the keys, whichever was ready first.
    begin = lines.index(f"{OLD}:")
    changed = "and bin/python3.1{} is not as it was installed"
    assert lines[begin : begin + 6] == [
        f"{OLD}:",
        f"  fault   interpreter: does not run on this host (signal 4), {changed.format(2)}",
        f"          cure: kitbag repair BUNDLE {OLD} --root {root.path}",
        f"{KEY}:",
        f"  fault   interpreter: did not answer within 0.5 seconds, {changed.format(3)}",
        f"          cure: kitbag repair BUNDLE {KEY} --root {root.path}",
    ]
    assert lines[-2].startswith("2 builds: 2 faults, ")
    assert lines[-1] == "kitbag verify tells which files are missing or changed"


def test_one_that_is_gone(capfd, root):
    replace_interpreter(root, "").unlink()
    done = run_kitbag(capfd, "doctor", "3.13", "--root", root.path, "-q")
    assert (done.status, done.err) == (1, "")
    assert "fault   interpreter: bin/python3.13 is missing\n" in done.out
    assert str(OLD) not in done.out.partition(f"{KEY}:")[2]


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("echo 'libpython3.13.so.1.0: cannot open shared object file' >&2; exit 127", "libpython"),
        ("echo 'Fatal Python error: no encodings' >&2; echo '  <no frame>' >&2; exit 1", "Fatal"),
    ],
)
def test_a_damaged_build_is_not_taken_for_another_machines(capfd, root, does, words):
    program = replace_interpreter(root, f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    Path(root.install_path(KEY), "lib", "python3.13", "os.py").unlink()
    done = run_kitbag(capfd, "doctor", "3.13", "--root", root.path, "-q")
    assert done.status == 1
    (line,) = [line for line in done.out.splitlines() if " interpreter: " in line]
    assert words in line
    assert line.endswith("and lib/python3.13/os.py is not as it was installed")
    assert f"cure: kitbag repair BUNDLE {KEY} --root {root.path}\n" in done.out


def test_one_that_can_not_tell_anything_is_one_fault(capfd, root):
    program = Path(root.install_path(KEY), "bin", "python3.13")
    real = program.with_name("real")
    real.write_text(program.read_text())
    real.chmod(0o755)
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *" -c "*) exec {real} "$@" ;; esac\n'
        "echo \"ModuleNotFoundError: No module named 'json'\" >&2\nexit 1\n"
    )
    done = run_kitbag(capfd, "doctor", "3.13", "--root", root.path, "-q")
    faults = [line for line in done.out.splitlines() if line.startswith("  fault ")]
    assert len(faults) == 1
    assert "interpreter: starts, but can't be examined: " in faults[0]
    assert "No module named 'json'" in faults[0]


def test_colours_are_sober(capfd, root, monkeypatch):
    replace_interpreter(root, "").unlink()
    arguments = ("doctor", "3.13", "--root", root.path)
    assert "\033" not in run_kitbag(capfd, *arguments).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run_kitbag(capfd, *arguments).out
    assert "\033[31mfault \033[0m  interpreter" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in run_kitbag(capfd, *arguments).out


def test_all_checks(capfd, root):
    replace_interpreter(root, "").unlink()
    arguments = ("doctor", "3.13", "--root", root.path)
    brief = run_kitbag(capfd, *arguments).out
    whole = run_kitbag(capfd, *arguments, "--all-checks").out
    assert "  ok      receipt: installed by kitbag" in whole
    assert "receipt" not in brief
    assert set(brief.splitlines()) <= set(whole.splitlines())


def _every(table):
    return [*table["findings"], *(each for build in table["builds"] for each in build["findings"])]


def test_json(capfd, root):
    replace_interpreter(root, "").unlink()
    done = run_kitbag(capfd, "doctor", "--root", root.path, "3.13", "--json", "-q")
    assert done.status == 1
    table = done.json
    names = ["root", "healthy", "faults", "advice", "findings", "builds", "environments"]
    assert list(table) == names
    assert table["healthy"] is False
    assert table["faults"] == len([each for each in _every(table) if each["severity"] == "fault"])
    (build,) = table["builds"]
    assert list(build) == ["key", "path", "by-kitbag", "findings"]
    assert build["path"] == root.install_path(KEY)
    assert build["by-kitbag"] is True
    every = _every(table)
    for finding in every:
        assert list(finding) == ["check", "severity", "message", "cure"]
        assert finding["check"] in CHECKS
        assert (finding["severity"] == "ok") == (finding["cure"] == "")
        assert "\n" not in finding["message"] + finding["cure"]
    order = [list(CHECKS).index(finding["check"]) for finding in every]
    assert order == sorted(order)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_limit_that_is_none(capfd, text):
    done = run_kitbag(capfd, "doctor", f"--time-limit={text}")
    assert done.status == 2
    assert "no number of seconds" in done.err


def test_a_build_for_another_machine_is_looked_at_from_outside(capfd, root):
    other = str(KEY).replace("linux-", "macos-").rpartition("-")[0] + "-none"
    os.rename(root.install_path(KEY), Path(root.path, other))
    os.unlink(root.minor_link(KEY))
    found = run_kitbag(capfd, "doctor", other, "--root", root.path, "--json", "-q").json
    findings = {each["check"]: each for each in found["builds"][0]["findings"]}
    assert findings["target"]["severity"] == "advice"
    assert findings["target"]["message"].endswith("its interpreter was not started")
    assert "interpreter" not in findings
    Path(root.path, other, "bin", "python3.13").unlink()
    done = run_kitbag(capfd, "doctor", other, "--root", root.path, "-q")
    assert done.status == 1
    assert "fault   interpreter: bin/python3.13 is missing\n" in done.out


def test_builds_that_somebody_removed_by_hand(capfd, root):
    for key in (OLD, KEY):
        shutil.rmtree(root.install_path(key))
    done = run_kitbag(capfd, "doctor", "--root", root.path)
    assert done.status == 1
    assert f"fault   dangling-link: {root.minor_link(KEY)} leads to " in done.out
    assert done.out.endswith(f"\nnothing is installed in {root.path}\n")
    assert done.err == ""
    table = run_kitbag(capfd, "doctor", "--root", root.path, "--json").json
    assert (table["healthy"], table["builds"]) == (False, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle(root, tmp_path, number):
    """Nothing goes on running, and nothing stays in the temporary directory."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    begun = tmp_path / "begun"
    replace_interpreter(
        root, f"#!/bin/sh\necho $$ > {begun}.new; mv {begun}.new {begun}\nsleep 99\n"
    )
    process = start(
        "doctor",
        "3.13",
        "--root",
        root.path,
        env=environment(TMPDIR=str(temporary)),
    )
    deadline = time.monotonic() + 20
    while not begun.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    done = finish(process, 20)
    assert done.status == 130
    assert "Traceback" not in done.err
    assert not list(temporary.iterdir())


def test_every_answer_of_a_broken_interpreter_is_told(capfd, root, interpreter, tmp_path):
    """A stand-in that passes the start-up check, and then fails in everything."""
    program = Path(root.install_path(KEY), "bin", "python3.13")
    real = program.with_name("real")
    os.rename(program, real)
    program.write_text(
        RIGHT.replace("@real@", str(real)).replace("@silent@", "ssl").replace("@do@", "exit 5")
    )
    program.chmod(0o755)
    real.write_text(real.read_text())
    real.chmod(0o755)
    found = run_kitbag(capfd, "doctor", "3.13", "--root", root.path, "--json", "-q").json
    findings = {each["check"]: each for each in found["builds"][0]["findings"]}
    assert findings["interpreter"]["severity"] == "ok"
    assert findings["ssl"]["message"] == "the interpreter ended with status 5"
    assert findings["sqlite3"]["message"] == "sqlite3 is broken"
    assert findings["sqlite3"]["severity"] == "fault"
    assert findings["environments"]["severity"] == "fault"


def test_nothing_is_changed(capfd, root, tmp_path, monkeypatch):
    from support.snapshots import snapshot

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    places = [Path(root.path), temporary, Path(os.environ["HOME"])]
    before = snapshot(*places)
    done = run_kitbag(capfd, "doctor", "--root", root.path, "--json")
    assert json.loads(done.out)["builds"]
    assert snapshot(*places) == before
