import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.doctor.findings import ADVICE, FAULT, OK, Finding
from kitbag_installer.doctor.surroundings import check_root, names_leading_to
from kitbag_installer.hosts import this_host
from kitbag_installer.links import minor_links
from kitbag_installer.locks import locked
from kitbag_installer.relocation import relocate_builds
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny

OLD, NEW = host_key("3.13.2"), host_key("3.13.5")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.13.2", "3.13.5")


@pytest.fixture
def bin_dir(tmp_path) -> Path:
    return tmp_path / "bin"


@pytest.fixture
def root(bundle, tmp_path, bin_dir) -> Root:
    return install_tiny(bundle, tmp_path / "root", str(OLD), str(NEW), bin_dir=str(bin_dir))


def findings(root: Root, check: str, **environ: str) -> list[Finding]:
    host, keys = this_host(), tuple(root.builds())
    return [each for each in check_root(root, host, environ, keys) if each.check == check]


def only(root: Root, check: str, **environ: str) -> Finding:
    (found,) = findings(root, check, **environ)
    return found


def test_a_root_that_is_as_it_should_be(root, bin_dir):
    environ = {"PATH": f"{bin_dir}:/usr/bin"}
    found = check_root(root, this_host(), environ, tuple(root.builds()))
    assert {each.severity for each in found} == {OK}, found


class TestMinorLinks:
    def link(self, root: Root) -> Path:
        return Path(root.minor_link(NEW))

    def broken(self, root: Root, words: str) -> None:
        """It is a fault, and its cure is one."""
        found = only(root, "minor-link")
        assert found.severity == FAULT
        assert words in found.message
        assert found.cure == f"kitbag relocate --root {root.path}"
        relocate_builds(root, (), SilentReporter())
        assert only(root, "minor-link").severity == OK

    def test_missing(self, root):
        self.link(root).unlink()
        self.broken(root, "is missing")

    def test_to_nothing(self, root):
        self.link(root).unlink()
        self.link(root).symlink_to("/nowhere")
        self.broken(root, "leads to /nowhere and not to")
        assert only(root, "dangling-link").severity == OK

    def test_to_an_older_patch(self, root):
        self.link(root).unlink()
        self.link(root).symlink_to(root.install_path(OLD))
        self.broken(root, f"{root.install_path(OLD)} and not to {NEW}")

    def test_something_else(self, root):
        self.link(root).unlink()
        self.link(root).mkdir()
        assert "is no link" in only(root, "minor-link").message

    def test_held_by_a_rollback(self, root):
        from kitbag_bundles.requests import parse_requests
        from kitbag_installer.upgrading import roll_back

        roll_back(root, parse_requests(["3.13"]), SilentReporter())
        assert minor_links(root)[root.minor_link(NEW)] == root.install_path(OLD)
        found = only(root, "minor-link")
        assert found.severity == OK
        assert found.message.endswith(f"leads to {OLD}, held there by a rollback from 3.13.5")


class TestLinks:
    def test_that_lead_to_nothing(self, root, bin_dir):
        Path(root.path, "cpython-3.12-linux-x86_64-gnu").symlink_to("/nowhere")
        (bin_dir / "python3.12").symlink_to(f"{root.path}/gone/bin/python3.12")
        (bin_dir / "another").symlink_to("/nowhere/else")  # nobody's business
        found = findings(root, "dangling-link")
        assert [(each.severity, each.cure) for each in found] == [
            (FAULT, f"rm {root.path}/cpython-3.12-linux-x86_64-gnu"),
            (FAULT, f"rm {bin_dir}/python3.12"),
        ]

    def test_names_that_lead_elsewhere(self, root, bin_dir):
        name = bin_dir / "python3.13"
        name.unlink()
        assert only(root, "bin-names").message == f"{name} is missing"
        name.write_text("#!/bin/sh\n")
        assert only(root, "bin-names").message == f"{name} is another program"
        name.unlink()
        name.symlink_to(f"{root.install_path(OLD)}/bin/python3.13")
        found = only(root, "bin-names")
        assert found.severity == ADVICE
        assert found.message.endswith(f"bin/python3.13 and not to {NEW}")

    def test_without_names_there_is_nothing_to_say(self, bundle, tmp_path):
        root = install_tiny(bundle, tmp_path / "other")
        for check in ("bin-names", "path", "shadowed", "kitbag"):
            assert only(root, check, PATH="/bin").severity == OK

    def test_the_names_of_a_build(self, root, bin_dir):
        link = root.minor_link(NEW)
        assert names_leading_to(root, NEW) == [f"{link}/bin/python3.13", f"{bin_dir}/python3.13"]
        assert names_leading_to(root, OLD) == []


class TestPath:
    def test_without_the_bin_directory(self, root, bin_dir):
        found = only(root, "path", PATH="/usr/bin:/bin")
        assert (found.severity, found.message) == (ADVICE, f"{bin_dir} is not on PATH")
        assert found.cure == f'export PATH={bin_dir}:"$PATH"'
        assert only(root, "shadowed", PATH="/usr/bin:/bin").severity == OK

    def test_in_the_shell_at_hand(self, root, bin_dir, tmp_path):
        shell = {"SHELL": "/usr/bin/fish", "PATH": "/bin"}
        assert only(root, "path", **shell).cure == f"fish_add_path '{bin_dir}'"

    def test_with_another_python_before_it(self, root, bin_dir, tmp_path):
        other = tmp_path / "other" / "python3.13"
        other.parent.mkdir()
        other.write_text("#!/bin/sh\n")
        other.chmod(0o755)
        found = only(root, "shadowed", PATH=f"{other.parent}:{bin_dir}")
        assert found.severity == ADVICE
        assert found.message == f"python3.13 means {other} here, and not {NEW}"
        assert only(root, "shadowed", PATH=f"{bin_dir}:{other.parent}").severity == OK

    @pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"])
    def test_variables_that_mislead(self, root, name):
        found = only(root, "variables", **{name: "/x"})
        assert (found.severity, found.cure) == (ADVICE, f"unset {name}")
        assert only(root, "variables", **{name: ""}).severity == OK


class TestKitbag:
    def test_gone(self, root):
        os.unlink(f"{root.own}/kitbag.pyz")
        found = only(root, "kitbag")
        assert found.severity == FAULT
        assert "kitbag.pyz is missing" in found.message

    @pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
    def test_damaged(self, root, how):
        path = Path(root.own, "kitbag.pyz")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes({"cut": data[:5000], "flipped": data, "empty": b""}[how])
        found = only(root, "kitbag")
        assert found.severity == FAULT
        assert "is damaged" in found.message

    def test_no_command(self, root, bin_dir):
        command = bin_dir / "kitbag"
        command.chmod(0o644)
        assert only(root, "kitbag").cure == f"chmod +x {command}"
        command.write_text("#!/bin/sh\n")
        assert "is another program" in only(root, "kitbag").message
        command.unlink()
        assert only(root, "kitbag").message == f"there is no kitbag command in {bin_dir}"


class TestTheDisk:
    def test_what_an_interrupted_run_left(self, root):
        left = Path(root.temp, "kitbag-stage-abc")
        left.mkdir()
        (left / "file").write_bytes(bytes(3_000_000))
        found = only(root, "leftovers")
        assert found.severity == ADVICE
        assert found.message == f"an interrupted run left 2 files, 3 MB, in {root.temp}"
        with locked(root, SilentReporter()):
            assert only(root, "leftovers").severity == OK
        relocate_builds(root, (), SilentReporter())
        assert only(root, "leftovers").severity == OK
        assert not left.exists()

    def test_everybody_may_write(self, root, bin_dir):
        bin_dir.chmod(0o777)
        found = only(root, "permissions")
        assert found.severity == ADVICE
        assert found.cure == f"chmod o-w {bin_dir}"

    def test_little_room_and_no_programs(self, root, monkeypatch):
        # Mounting needs rights that a test does not have.
        from kitbag_installer.preflight import places

        found = places.place_of(root.path)._replace(free=5_000_000, no_exec=True)
        monkeypatch.setattr(places, "place_of", lambda path: found)
        assert only(root, "noexec").severity == FAULT
        assert only(root, "space").message.startswith("5 MB are free")


def test_cures_are_commands_also_where_names_have_blanks(bundle, tmp_path):
    folder = tmp_path / "a b"
    root = install_tiny(bundle, folder / "root", bin_dir=str(folder / "b $1"))
    (folder / "root/cpython-3.12-linux-x86_64-gnu").symlink_to("gone")
    (folder / "root").chmod(0o777)
    (folder / "b $1/kitbag").chmod(0o644)
    for check in ("dangling-link", "permissions", "kitbag"):
        cure = only(root, check).cure
        subprocess.run(["/bin/sh", "-ec", cure], check=True, cwd=tmp_path)
        assert only(root, check).severity == OK, cure
    assert "a b" in only(root, "path").cure
    os.unlink(root.minor_link(NEW))
    assert only(root, "minor-link").cure == f"kitbag relocate --root '{root.path}'"


def test_a_root_of_another_tool(root, bin_dir):
    for key in (OLD, NEW):
        shutil.rmtree(Path(root.install_path(key), ".kitbag"))
    shutil.rmtree(root.own)
    assert only(root, "kitbag").message == "nothing here was installed by kitbag"
    assert only(root, "minor-link").severity == OK
