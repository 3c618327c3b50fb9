import json
import os
from pathlib import Path

import pytest

from support.cli import assert_done, assert_refused, call
from support.compilable import BROKEN, compilable_bundle, count
from support.crafting import host_key

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place: Path = tmp_path_factory.mktemp("bundles")
    return place


@pytest.fixture(scope="module")
def sound(folder) -> Path:
    return compilable_bundle(folder / "sound.kitbag", "3.12.9", "3.13.5")


@pytest.fixture(scope="module")
def broken(folder) -> Path:
    (folder / "broken").mkdir()
    return compilable_bundle(folder / "broken/broken.kitbag", "3.12.9", "3.13.5", broken=True)


def install(bundle, root, *options):
    return call("install", bundle, "--root", root, "--no-bin", *options)


@pytest.mark.parametrize("jobs", ["1", "8"])
def test_builds_are_told_in_the_order_of_their_keys(sound, tmp_path, jobs):
    root = tmp_path / "root"
    assert_done(install(sound, root))
    ran = call("compile", "--root", root, "--jobs", jobs)
    assert_done(ran)
    assert not count(root, ".py") - count(root, ".pyc")
    lines = ran.out.splitlines()
    counts = [count(root / host_key(version), ".py") for version in ("3.12.9", "3.13.5")]
    assert lines == [
        f"{host_key('3.12.9')}: compiled {counts[0]} files",
        f"{host_key('3.13.5')}: compiled {counts[1]} files",
    ]
    again = call("compile", "3.13", "--root", root)
    assert_done(again)
    assert again.out == f"{host_key('3.13.5')}: bytecode up to date\n"


@pytest.mark.parametrize("jobs", ["1", "8"])
def test_each_file_that_fails_is_named_and_the_build_installed(broken, tmp_path, jobs):
    root = tmp_path / "root"
    ran = install(broken, root, "--compile-bytecode", "--jobs", jobs, "--json")
    assert ran.status == 1
    files = [root / host_key("3.12.9") / BROKEN.replace("3.13", "3.12")]
    files.append(root / host_key("3.13.5") / BROKEN)
    assert [line.split(": can't be compiled: SyntaxError")[0] for line in ran.errors] == [
        f"kitbag: error: {path}" for path in files
    ]
    builds = json.loads(ran.out)["builds"]
    assert [build["action"] for build in builds] == ["installed", "installed"]
    for build, path in zip(builds, files, strict=True):
        tree = Path(build["path"])
        found = build["bytecode"]
        assert found["compiled"] == count(tree, ".pyc") == count(tree, ".py") - 1
        assert found["fresh"] == 0
        assert list(found["failures"]) == [os.path.relpath(path, tree)]
    assert_done(call("verify", "--root", root))
    # The same for builds that are there: nothing but the broken files is tried again.
    for words in (("compile",), ("install", broken, "--compile-bytecode", "--no-bin")):
        again = call(*words, "--root", root, "--json")
        assert again.status == 1
        assert len(again.errors) == 2
        found = [build["bytecode"] for build in json.loads(again.out)["builds"]]
        assert [each["compiled"] for each in found] == [0, 0]
        assert all(each["fresh"] and len(each["failures"]) == 1 for each in found)


def test_an_install_compiles_if_asked(sound, tmp_path, monkeypatch):
    root = tmp_path / "root"
    tree = root / host_key()
    ran = install(sound, root, "3.13", "--no-compile-bytecode")
    assert_done(ran)
    assert "compiled" not in ran.out
    assert count(tree, ".pyc") == 0
    monkeypatch.setenv("KITBAG_COMPILE_BYTECODE", "True")
    assert_done(install(sound, root, "3.13", "--no-compile-bytecode"))
    assert count(tree, ".pyc") == 0
    ran = install(sound, root, "3.13")
    assert ran.out.endswith(f"; compiled {count(tree, '.py')} files\n")
    ran = install(sound, root, "3.13", "--reinstall")
    assert f" ~ {host_key()} (compiled {count(tree, '.pyc')} files)" in ran.out
    assert count(tree, ".pyc") == count(tree, ".py")
    assert_done(call("verify", "--root", root))
    assert_done(call("uninstall", "--all", "--root", root))
    assert not tree.exists()


def test_the_report_has_what_was_compiled(sound, tmp_path):
    report = tmp_path / "report.json"
    assert_done(install(sound, tmp_path / "root", "--compile-bytecode", "--report", report))
    builds = json.loads(report.read_text())["builds"]
    assert all(build["bytecode"]["compiled"] > 5 for build in builds)


@pytest.mark.parametrize(
    ("name", "value"),
    [("KITBAG_COMPILE_BYTECODE", "maybe"), ("PYC_INVALIDATION_MODE", "sometimes")],
)
def test_values_that_mean_nothing_are_refused(sound, tmp_path, monkeypatch, name, value):
    root = tmp_path / "root"
    monkeypatch.setenv(name, value)
    option = () if name.startswith("KITBAG") else ("--compile-bytecode",)
    assert_refused(install(sound, root, *option), 2, name, value)
    assert not root.exists()
    if not option:
        return
    assert_done(install(sound, root))
    assert_refused(call("compile", "--root", root), 2, name, value)


def test_nothing_there_is_nothing_to_compile(tmp_path):
    assert_refused(call("compile", "--root", tmp_path / "none"), 4, "there is no root at")
    (tmp_path / "none").mkdir()
    ran = call("compile", "--root", tmp_path / "none")
    assert_done(ran)
    assert ran.out == f"nothing to compile in {tmp_path / 'none'}\n"
    assert_refused(call("compile", "3.13", "--root", tmp_path / "none"), 4, "3.13")
