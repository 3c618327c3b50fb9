import hashlib
import json
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import FileSystemError, SmokeTestFailed
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.bytecode.compiling import Compiled
from kitbag_installer.hosts import this_host
from kitbag_installer.installation import InstallOptions, install_builds
from kitbag_installer.reports import build_table, bytecode_table, install_report, write_report
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle


def install(bundle: Bundle, root: Root):
    return install_builds(bundle, root, (), this_host(), InstallOptions(), SilentReporter())


def test_the_report_has_every_digest_that_was_checked(tmp_path):
    path = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5", answers={"3.12.9": "crash"})
    root = Root(str(tmp_path / "root"))
    with Bundle.open(path) as bundle:
        report = install_report(bundle, install(bundle, root))
        for name, digest in report["members"].items():
            if name.startswith("archives/"):
                data = bundle.open_payload(bundle.manifest.builds[1]).read()
            else:
                data = bundle.read(name)
            assert hashlib.sha256(data).hexdigest() == digest
    assert report["report"] == "kitbag install"
    assert report["root"] == root.path
    failed, done = report["builds"]
    assert failed["action"] == "failed"
    assert failed["error"]["code"] == SmokeTestFailed.code
    assert "checked" not in failed
    assert done["key"] == str(host_key())
    place = Path(root.install_path(host_key()))
    files = [p for p in place.rglob("*") if p.is_file() and not p.is_symlink()]
    assert set(done["checked"]) <= {str(p.relative_to(place)) for p in files}
    same = hashlib.sha256((place / "lib/python3.13/os.py").read_bytes()).hexdigest()
    assert done["checked"]["lib/python3.13/os.py"] == same
    assert done["archive"]["sha256"] == report["members"][done["archive"]["member"]]


def test_what_was_there_already_was_not_checked(tmp_path):
    path = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    root = Root(str(tmp_path / "root"))
    with Bundle.open(path) as bundle:
        install(bundle, root)
        report = install_report(bundle, install(bundle, root))
    assert report["builds"][0]["action"] == "present"
    assert "checked" not in report["builds"][0]
    assert set(report["members"]) == {"manifest.toml", "kitbag.pyz"}


def test_a_build_as_a_table(tmp_path):
    path = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    root = Root(str(tmp_path / "root"))
    with Bundle.open(path) as bundle:
        table = build_table(install(bundle, root).builds[0])
    assert table == {
        "key": str(host_key()),
        "action": "installed",
        "path": root.install_path(host_key()),
        "release": "20260101",
        "flavor": "install_only_stripped",
        "files": table["files"],
        "size": table["size"],
        "for": "",
        "rewritten": table["rewritten"],
    }
    assert min(table["files"], table["size"], table["rewritten"]) > 0


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    write_report(str(path), {"path": "caf\xe9 \udce9"})
    assert json.loads(path.read_text()) == {"path": "caf\xe9 \udce9"}
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_report_that_can_not_be_written_is_told(tmp_path):
    with pytest.raises(FileSystemError, match="nothing/report"):
        write_report(str(tmp_path / "nothing" / "report.json"), {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileSystemError, match="folder"):
        write_report(str(tmp_path / "folder"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_what_would_not_compile_is_told_in_a_fixed_order():
    table = bytecode_table(Compiled(1, 0, {}, {"b.py": "SyntaxError", "a.py": "SyntaxError"}))
    assert list(table["failures"]) == ["a.py", "b.py"]
