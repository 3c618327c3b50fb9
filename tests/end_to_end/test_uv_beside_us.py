"""A root that kitbag and the real uv share stays healthy, whatever either of them does to it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_installer import commit, removal
from kitbag_installer.locks import is_awaited, locked
from kitbag_installer.roots import Root
from support import crafting
from support.cli import assert_done, assert_refused, finish, run, start
from support.interpreters import Interpreter, packable_interpreters
from support.journey import kitbag
from support.neighbours import Both
from support.pbs import make_pbs_archive
from support.require import require
from support.snapshots import dangling, snapshot, temporary
from support.uvtool import list_entry

if TYPE_CHECKING:
    from support.snapshots import Thing


@pytest.fixture
def both(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    slim_archive: Path,
    packable_interpreter: Interpreter,
) -> Both:
    """The build, and the same as if it were two patches later, which only uv knows."""
    one = packable_interpreter
    return Both.at(tmp_path, tmp_path_factory, slim_archive, one, one.version[2] + 2)


def newer(both: Both) -> str:
    """The key of uv's newer patch."""
    version = both.key.split("-")[1]
    patch = int(version.rpartition(".")[2])
    return both.key.replace(version, f"{both.minor}.{patch + 2}")


def healthy(both: Both, *keys: str) -> None:
    """Both see exactly these builds, links lead to the newest, and nothing dangles."""
    assert sorted(both.rows()) == sorted(keys)
    shown = {Path(item["path"]).relative_to(both.root).parts[0] for item in both.uv.installed()}
    assert shown <= {*keys, both.link.name}
    assert not dangling(both.root, both.bin_dir)
    newest = max(keys, key=lambda key: int(key.split("-")[1].rpartition(".")[2]))
    assert shown & {newest, both.link.name}
    assert os.readlink(both.link) == str(both.root / newest)
    assert both.prefix_of(both.bin_dir / f"python{both.minor}")
    assert not temporary(both.root)


def of_uv(both: Both) -> dict[str, Thing]:
    """Everything that uv made: its newer build, with the links to it."""
    names = [both.bin_dir / name for name in (f"python{both.minor}", "python3", "python")]
    return snapshot(both.root / newer(both), both.link, *names)


class TestUvOnOurs:
    def test_upgrade(self, both: Both, tmp_path: Path) -> None:
        """uv's newer patch comes in beside ours, and takes the link over as ours would."""
        both.install()
        before = snapshot(both.home)
        both.uv.run("venv", "--python", both.minor, "--managed-python", tmp_path / "environment")
        both.uv.python("upgrade", both.minor)
        healthy(both, both.key, newer(both))
        assert snapshot(both.home) == before
        rows = both.rows()
        assert [rows[key]["by"] for key in (both.key, newer(both))] == ["kitbag", "uv"]
        assert [rows[key]["current"] for key in (both.key, newer(both))] == [False, True]
        assert f"{newer(both)}" in os.path.realpath(tmp_path / "environment" / "bin" / "python")
        kitbag("verify", "--root", both.root)
        # Ours goes, uv's stays with its links.
        left = of_uv(both)
        kitbag("uninstall", both.minor, "--root", both.root)
        assert of_uv(both) == left
        healthy(both, newer(both))
        assert not (both.root / ".kitbag").exists()

    def test_upgrade_of_ours_that_is_up_to_date(self, both: Both) -> None:
        """The newest there is, with uv's own BUILD: uv has nothing to do."""
        both.uv.downloads.write_text(
            json.dumps({"0": json.loads(both.uv.downloads.read_text())["0"]})
        )
        both.install()
        before = snapshot(both.home)
        both.uv.python("upgrade", both.minor)
        assert snapshot(both.home).keys() == before.keys()
        kitbag_owns = both.rows()[both.key]
        assert (kitbag_owns["by"], kitbag_owns["problem"]) == ("kitbag", "")
        healthy(both, both.key)

    def test_uninstall_by_uv(self, both: Both, tmp_path: Path) -> None:
        """Our links and notes do not break; the next run of ours tidies up."""
        both.install("--default")
        other = crafting.tiny_bundle(tmp_path / "more", "3.7.9")
        kitbag("install", other, "--root", both.root, "--bin-dir", both.bin_dir)
        both.uv.python("uninstall", both.minor)
        assert [*both.rows()] == [crafting.host_key("3.7.9")]
        for verb in ("verify", "relocate"):
            kitbag(verb, "--root", both.root)
        kitbag("install", other, "--root", both.root, "--bin-dir", both.bin_dir)
        assert not dangling(both.root, both.bin_dir)
        assert sorted(os.listdir(both.bin_dir)) == ["kitbag", "python3.7"]
        kitbag("uninstall", "--all", "--root", both.root)
        assert not both.root.exists()

    def test_reinstall_by_uv(self, both: Both) -> None:
        """It is uv's from then on: without a receipt, shown as uv's, passed over, left alone."""
        both.install()
        both.uv.python("install", "--reinstall", both.key)
        row = both.rows()[both.key]
        assert (row["by"], row["by-kitbag"], row["problem"]) == ("uv", False, "")
        assert "(by uv)" in kitbag("installed", "--root", both.root)
        assert run("verify", "--root", both.root).status == 0
        assert run("relocate", "--root", both.root).status == 0
        before = snapshot(both.home)
        refused = run("uninstall", both.minor, "--root", both.root)
        assert_refused(refused, 4, "was installed by uv", f"uv python uninstall {both.key}")
        kitbag("uninstall", "--all", "--root", both.root)
        assert snapshot(both.home) == before
        healthy(both, both.key)


class TestOursOnUvs:
    @pytest.fixture
    def shared(self, both: Both) -> Both:
        """uv's newer patch with all of uv's links, and ours beside it."""
        both.uv.python("install", newer(both).split("-")[1])
        self.before = of_uv(both)
        assert len(self.before) > 400
        both.install()
        return both

    @pytest.mark.parametrize(
        "words",
        [
            ("install", "{bundle}", "--bin-dir", "{bin}"),
            ("install", "{bundle}", "--bin-dir", "{bin}", "--reinstall", "--default"),
            ("install", "{bundle}", "--bin-dir", "{bin}", "--upgrade"),
            ("install", "{bundle}", "--bin-dir", "{bin}", "--upgrade", "--prune"),
            ("install", "{bundle}", "--bin-dir", "{bin}", "--compile-bytecode"),
            ("verify",),
            ("relocate",),
            ("doctor",),
            ("repair", "{bundle}"),
            ("uninstall", "{minor}"),
            ("uninstall", "--all"),
        ],
        ids=" ".join,
    )
    def test_nothing_of_uvs_is_changed(self, shared: Both, words: tuple[str, ...]) -> None:
        both = shared
        places = {"bundle": both.bundle, "bin": both.bin_dir, "minor": both.minor}
        done = run(*(word.format(**places) for word in words), "--root", both.root)
        assert "internal error" not in done.err, done
        # A check may find something; whatever it does, it leaves uv's alone.
        assert done.status in ((0, 1) if words[0] == "doctor" else (0,)), done
        now = of_uv(both)
        assert {path: now.get(path) for path in self.before} == self.before
        assert newer(both) in both.rows()

    def test_a_root_without_ours_is_fit_for_uv(self, shared: Both, tmp_path: Path) -> None:
        both = shared
        kitbag("uninstall", "--all", "--root", both.root)
        names = {".gitignore", ".lock", ".temp", newer(both), both.link.name}
        assert set(os.listdir(both.root)) == names
        assert os.listdir(both.bin_dir) == [f"python{both.minor}"]
        healthy(both, newer(both))
        found = both.uv.python("find", both.minor, "--managed-python").strip()
        assert found == f"{both.link}/bin/python{both.minor}"
        both.uv.run("venv", "--python", both.minor, "--managed-python", tmp_path / "environment")
        code = "import sys; print(sys.version_info[:2])"
        said = both.uv.run(
            *("run", "--no-project", "--managed-python", "--python", both.minor),
            *("python", "-c", code),
        )
        assert said.strip() == str(tuple(int(part) for part in both.minor.split(".")))
        both.uv.python("uninstall", "--all")
        assert both.listed() == []

    def test_a_root_that_uv_emptied_is_as_uv_leaves_it(self, both: Both) -> None:
        """Also what uv leaves for good stays, where uv was there first."""
        both.uv.python("install", both.key)
        both.uv.python("uninstall", "--all")
        before = snapshot(both.root, both.bin_dir)
        both.install("--default")
        kitbag("uninstall", "--all", "--root", both.root)
        assert snapshot(both.root, both.bin_dir) == before


class TestTwoVersions:
    def test_each_installs_one_and_both_find_both(
        self, both: Both, tmp_path: Path, packable_interpreter: Interpreter
    ) -> None:
        others = [
            one for one in packable_interpreters((3, 9)) if one.minor != packable_interpreter.minor
        ]
        require(others, "a second CPython from which an archive can be made")
        archive = make_pbs_archive(others[0], slim=True)
        both.uv.downloads.write_text(json.dumps({"0": list_entry(archive, others[0])}))
        both.install()
        both.uv.python("install", others[0].minor)
        theirs = f"cpython-{others[0].full_version}-linux-{others[0].machine}-gnu"
        assert sorted(both.listed()) == sorted([both.key, theirs])
        rows = both.rows()
        assert (rows[both.key]["by"], rows[theirs]["by"]) == ("kitbag", "uv")
        assert all(row["current"] for row in rows.values())
        kitbag("uninstall", "--all", "--root", both.root)
        assert both.listed() == [theirs]
        assert os.listdir(both.bin_dir) == [f"python{others[0].minor}"]
        assert not dangling(both.root, both.bin_dir)


class TestAtOnce:
    """Both take the same lock; also at the moment at which the last of kitbag goes."""

    def test_an_uninstall_and_uvs_install(self, both: Both) -> None:
        program = [both.uv.program, "python", "install", both.key, "--offline", "--no-progress"]
        program += ["--python-downloads-json-url", str(both.uv.downloads)]
        for _ in range(3):
            kitbag("install", both.bundle, "--root", both.root, "--no-bin")
            ours = start("uninstall", "--all", "--root", both.root)
            uvs = subprocess.Popen(
                program, env=both.uv.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert_done(finish(ours))
            _, err = uvs.communicate(timeout=120)
            assert uvs.returncode == 0, err.decode()
            # uv found ours there and took it over, or came later and installed its own.
            if both.listed():
                both.uv.python("uninstall", "--all")
            kitbag("uninstall", "--all", "--root", both.root)

    def test_a_uv_that_waits_while_the_last_build_goes(self, both: Both) -> None:
        """It has made what it needs before it waits, and does not look again."""
        kitbag("install", both.bundle, "--root", both.root, "--no-bin")
        program = [both.uv.program, "python", "install", both.key, "--offline", "--no-progress"]
        program += ["--python-downloads-json-url", str(both.uv.downloads)]
        root = Root(str(both.root))
        with locked(root, SilentReporter()):
            uvs = subprocess.Popen(
                program, env=both.uv.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            while not is_awaited(root):
                assert uvs.poll() is None
            for key in root.builds():
                commit.remove_tree(commit.retire(root, key))
            removal.leave_after_last(root)
        _, err = uvs.communicate(timeout=120)
        assert uvs.returncode == 0, err.decode()
        assert both.listed() == [both.key]
