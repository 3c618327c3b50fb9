import json
import os
from pathlib import Path

import pytest

from kitbag_bundles.manifest import InstallDefaults
from kitbag_installer.hosts import this_host
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag

# Python 3.12 and newer warn about any fork beside a thread; pytest-xdist has one.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY = host_key()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "x.kitbag"
    return tiny_bundle(path, "3.12.9", "3.13.5", "3.13.5t")


@pytest.fixture(scope="module")
def half_bad(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "bad.kitbag"
    return tiny_bundle(path, "3.12.9", "3.13.5", answers={"3.12.9": "crash"})


def test_what_is_said_of_an_install(capfd, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{tmp_path}/bin")
    (tmp_path / "bin").mkdir()
    root = tmp_path / "root"
    done = run_kitbag(capfd, "install", bundle, "--root", root, "--bin-dir", tmp_path / "bin")
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[0].startswith("Installed 3 builds (")
    assert lines[0].endswith(f" s into {root}")
    assert lines[1:] == [
        f" + {host_key('3.12.9')} (python3.12)",
        f" + {KEY} (python3.13)",
        f" + {host_key('3.13.5', 'freethreaded')} (python3.13t)",
    ]
    done = run_kitbag(capfd, "install", bundle, "3.13", "--root", root, "--reinstall", "--no-bin")
    assert done.out.splitlines()[1:] == [f" ~ {KEY}"]
    done = run_kitbag(capfd, "install", bundle, "3.13", "--root", root, "--no-bin")
    assert done == (0, f"{KEY} is already installed in {root}\n", "")


def test_a_bin_directory_that_is_not_on_the_path_is_told(capfd, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    words = ("install", bundle, "3.13", "--root", tmp_path / "r", "--bin-dir", tmp_path / "b")
    done = run_kitbag(capfd, *words)
    assert done.err == (
        f"kitbag: {tmp_path}/b is not on PATH; this puts it there, and in ${{ZDOTDIR:-~}}/.zshrc "
        f'for good: export PATH={tmp_path}/b:"$PATH"\n'
    )
    assert run_kitbag(capfd, *words, "--reinstall", "-q").err == ""


def test_the_defaults_are_the_homes(capfd, bundle, home):
    done = run_kitbag(capfd, "install", bundle, "3.13", "--default")
    assert done.status == 0
    root = home / ".local/share/kitbag/python"
    assert os.path.realpath(home / ".local/bin/python") == str(root / str(KEY) / "bin/python3.13")
    assert (root / ".kitbag" / "kitbag.pyz").is_file()


def test_the_environment_chooses_and_options_beat_it(capfd, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("KITBAG_ROOT", str(tmp_path / "env root"))
    monkeypatch.setenv("KITBAG_BIN_DIR", str(tmp_path / "env bin"))
    assert run_kitbag(capfd, "install", bundle, "3.12", "-q").status == 0
    assert sorted(os.listdir(tmp_path)) == ["env bin", "env root"]
    words = ("--root", tmp_path / "root", "--bin-dir", tmp_path / "bin", "-q")
    assert run_kitbag(capfd, "install", bundle, "3.13", *words).status == 0
    assert sorted(os.listdir(tmp_path / "bin")) == ["kitbag", "python3.13"]
    assert sorted(os.listdir(tmp_path / "env bin")) == ["kitbag", "python3.12"]


def test_json_tells_everything(capfd, bundle, tmp_path):
    root, bin_dir = tmp_path / "r", tmp_path / "b"
    bin_dir.mkdir()
    (bin_dir / "python3.12").write_text("theirs")
    done = run_kitbag(
        capfd, "install", bundle, "3.12", "3.13", "--root", root, "--bin-dir", bin_dir, "--json"
    )
    assert done.status == 0
    found = done.json
    assert found["root"] == str(root)
    assert [(build["key"], build["action"]) for build in found["builds"]] == [
        (str(host_key("3.12.9")), "installed"),
        (str(KEY), "installed"),
    ]
    minor = str(root / KEY.minor_key)
    assert found["links"] == {f"{bin_dir}/python3.13": f"{minor}/bin/python3.13"}
    assert found["minor-links"][minor] == str(root / str(KEY))
    assert found["refused-names"] == [f"{bin_dir}/python3.12"]
    assert found["kitbag"] == f"{bin_dir}/kitbag"
    assert f"left alone: {bin_dir}/python3.12; --force replaces them" in done.err


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_the_worst_failure_is_the_status_and_the_rest_is_done(capfd, half_bad, tmp_path, words):
    done = run_kitbag(capfd, "install", half_bad, "--root", tmp_path / "r", "--no-bin", *words)
    assert done.status == 1
    assert f"kitbag: error: {host_key('3.12.9')}: does not run on this host (signal 11)" in done.err
    if words:
        failed, installed = done.json["builds"]
        assert failed["error"]["code"] == "smoke-test"
        assert installed["action"] == "installed"
    else:
        assert "Installed 1 build (" in done.out
        assert f" + {KEY}\n" in done.out


def test_a_report_for_the_auditor(capfd, bundle, tmp_path):
    report = tmp_path / "report.json"
    words = ("--root", tmp_path / "r", "--no-bin", "--report", report)
    assert run_kitbag(capfd, "install", bundle, "3.13", *words).status == 0
    found = json.loads(report.read_text())
    assert found["builds"][0]["key"] == str(KEY)
    assert found["builds"][0]["checked"]["lib/python3.13/os.py"]
    nowhere = tmp_path / "nothing" / "report.json"
    done = run_kitbag(
        capfd, "install", bundle, "3.12", "--root", tmp_path / "r", "--no-bin", "--report", nowhere
    )
    assert done.status == 1
    assert "nothing/report.json" in done.err


def test_a_build_of_another_tool_is_told(capfd, bundle, tmp_path):
    program = tmp_path / "r" / str(KEY) / "bin" / "python3.13"
    program.parent.mkdir(parents=True)
    program.write_text("")
    done = run_kitbag(capfd, "install", bundle, "3.13", "--root", tmp_path / "r", "--no-bin")
    assert done.err == f"kitbag: {KEY} was installed by another tool; --reinstall replaces it\n"


def test_pip_may_be_let_in(capfd, bundle, tmp_path):
    words = ("--root", tmp_path / "r", "--no-bin", "--no-externally-managed", "--durable")
    assert run_kitbag(capfd, "install", bundle, "3.13", *words, "--jobs", "2").status == 0
    assert not list((tmp_path / "r").glob("*/lib/*/EXTERNALLY-MANAGED"))


DEFAULTS = InstallDefaults(default=True, externally_managed=False, bin=False)


@pytest.mark.parametrize(
    ("words", "variable", "links", "managed"),
    [
        ((), "", [], False),
        (("--bin", "--no-default"), "", ["kitbag", "python3.13"], False),
        (("--externally-managed",), "{}", ["kitbag", "python", "python3", "python3.13"], True),
        (("--no-bin",), "{}", [], False),
        (("--bin-dir", "{}"), "", ["kitbag", "python", "python3", "python3.13"], False),
    ],
)
def test_an_option_beats_the_environment_and_that_the_bundle(
    capfd, tmp_path, monkeypatch, words, variable, links, managed
):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5", install=DEFAULTS)
    monkeypatch.setenv("XDG_BIN_HOME", str(tmp_path / "bin"))
    if variable:
        monkeypatch.setenv("KITBAG_BIN_DIR", variable.format(tmp_path / "bin"))
    given = [word.format(tmp_path / "bin") for word in words]
    done = run_kitbag(capfd, "install", bundle, "--root", tmp_path / "r", *given)
    assert done.status == 0
    found = sorted(os.listdir(tmp_path / "bin")) if (tmp_path / "bin").is_dir() else []
    assert found == links
    assert bool(list((tmp_path / "r").glob("*/lib/*/EXTERNALLY-MANAGED"))) is managed


@pytest.mark.parametrize(
    ("words", "status", "code", "message"),
    [
        (("3.x",), 2, "usage", "'3.x' names no Python"),
        (("3.9",), 4, "no-match", "no build in the bundle matches '3.9'; it has cpython-3.12.9"),
        (("--jobs", "none"), 2, "usage", "'none' is no number of jobs"),
        (("--root", ""), 2, "usage", "--root is empty"),
        (("--root", "/dev/null/x"), 5, "does-not-fit", "/dev/null: not a directory"),
    ],
)
def test_errors(capfd, bundle, words, status, code, message):
    done = run_kitbag(capfd, "install", bundle, "--no-bin", *words, "--json")
    assert done.status == status
    assert done.json["error"]["code"] == code
    assert message in done.json["error"]["message"]
    assert done.err.startswith("kitbag: error: ")
    assert done.err.count("\n") == 1


def test_no_bin_and_a_bin_directory_exclude_each_other(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "install", bundle, "--no-bin", "--bin-dir", tmp_path)
    assert done.status == 2
    assert "not allowed with argument" in done.err


def test_a_bundle_for_another_machine_says_why(capfd, tmp_path):
    from support.bundled import bundle_archives
    from support.synthetic import SYNTHETIC, make_synthetic_archive

    name = "aarch64" if this_host().arch != "aarch64" else "s390x"
    archive = make_synthetic_archive(name, tmp_path / "a")
    key = type(KEY).parse(SYNTHETIC[name].key)
    path = bundle_archives(tmp_path / "y.kitbag", [(archive, key)])
    done = run_kitbag(capfd, "install", path, "--root", tmp_path / "r", "--no-bin")
    assert done.status == 5
    assert "nothing in the bundle fits this host" in done.err
    done = run_kitbag(capfd, "install", path, "3.13", "--root", tmp_path / "r", "--no-bin")
    assert done.status == 5
    assert f"{key} does not fit this host" in done.err
    assert not (tmp_path / "r").exists()


def test_an_older_bundle_is_told_and_prune_needs_upgrade(capfd, bundle, tmp_path):
    newer = tiny_bundle(tmp_path / "n.kitbag", "3.13.7")
    words = ("--root", tmp_path / "r", "--no-bin", "-q")
    run_kitbag(capfd, "install", newer, *words)
    done = run_kitbag(capfd, "install", bundle, "3.13", "--upgrade", *words)
    line = f"{KEY} (release 20260101) is older than what is installed in {tmp_path}/r\n"
    assert done == (0, line, "")
    done = run_kitbag(capfd, "install", bundle, "--prune", *words)
    assert done.status == 2
    assert "say --upgrade too" in done.err


def test_an_upgrade_as_json_and_in_the_report(capfd, tmp_path):
    older, newer = (
        tiny_bundle(tmp_path / f"{release}.kitbag", f"3.13.5@{release}", "3.13.4")
        for release in ("20260101", "20260202")
    )
    words = ("--root", tmp_path / "r", "--no-bin", "-q")
    run_kitbag(capfd, "install", older, *words)
    report = tmp_path / "report.json"
    more = ("--upgrade", "--prune", "--json", "--report", report)
    table = run_kitbag(capfd, "install", newer, *words, *more).json
    (row,) = table["builds"]
    assert (row["action"], row["release"], row["old-release"]) == (
        "upgraded",
        "20260202",
        "20260101",
    )
    assert (table["pruned"], table["turned-links"]) == ([str(host_key("3.13.4"))], {})
    assert json.loads(report.read_text())["builds"][0]["archive"]["sha256"]
