"""One wheel in a tree: where its files go, its RECORD, and wheels that are not what they say."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.errors import ArchiveError, BundleError, DigestMismatch, FileSystemError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.merging import merged
from kitbag_installer.environments.records import encoded
from kitbag_installer.environments.unpacking import Unpacked, unpack_wheels
from support.environments import wheel_facts
from support.wheels import make_wheel, member_info, record_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kitbag_bundles.environments import Wheel

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
WINDOWS = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
SITE = "lib/python3.13/site-packages"
HOME = "/opt/py/envs/app"


class Files:
    """A bundle whose wheels are files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = {path.name: path for path in paths}

    def open_wheel(self, wheel: Wheel) -> Any:
        return open(self.paths[wheel.filename], "rb")

    def accuse_wheel(self, wheel: Wheel) -> str:
        return ""


def unpack(tree: Path, *paths: Path, key: BuildKey = KEY, **facts: object) -> list[Unpacked]:
    wheels = [dataclasses.replace(wheel_facts(path), **facts) for path in paths]
    tree.mkdir(exist_ok=True)
    with SilentReporter().progress("unpacking", 0) as progress:
        done = unpack_wheels(Files(paths), wheels, str(tree), layout_of(key), HOME, progress)  # type: ignore[arg-type]
    return [Unpacked(*each) for each in done]


def paths_of(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if not path.is_dir()}


def rows(tree: Path, info: str) -> dict[str, tuple[str, str]]:
    text = (tree / SITE / info / "RECORD").read_text(encoding="utf-8")
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert [row[0] for row in found] == sorted({row[0] for row in found})
    return {path: (digest, size) for path, digest, size in found}


@pytest.fixture
def rich(tmp_path):
    """A wheel with everything that the format has."""
    return make_wheel(
        tmp_path / "wheels",
        "Rich.App",
        "1.0",
        files={
            "rich_app/__init__.py": "X = 1\n",
            "rich_app/run.sh": "#!/bin/sh\n",
            "rich_app/a, b.txt": "odd name",
            "rich_app/東.txt": "letters",
            "space/one.py": "ONE = 1\n",
        },
        scripts={"rich": "rich_app:main"},
        gui_scripts={"rich-gui": "rich_app:main"},
        data={
            "scripts/tool": "#!python\nprint('tool')\n",
            "scripts/shell": "#!/bin/sh\necho shell\n",
            "headers/rich.h": "/* */\n",
            "data/share/rich/x.txt": "x",
            "purelib/pure.py": "P = 1\n",
            "platlib/plat.py": "P = 2\n",
        },
        modes={"rich_app/run.sh": 0o755},
    )


def test_everything_goes_where_it_belongs(tmp_path, rich):
    tree = tmp_path / "tree"
    (done,) = unpack(tree, rich)
    info = "rich_app-1.0.dist-info"
    assert paths_of(tree) == {
        *(f"{SITE}/{info}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED")),
        *(f"{SITE}/{info}/{name}" for name in ("WHEEL", "entry_points.txt")),
        *(f"{SITE}/rich_app/{name}" for name in ("__init__.py", "run.sh", "a, b.txt", "東.txt")),
        *(f"{SITE}/{name}" for name in ("space/one.py", "pure.py", "plat.py")),
        *(f"bin/{name}" for name in ("rich", "rich-gui", "tool", "shell")),
        "include/site/python3.13/rich-app/rich.h",
        "share/rich/x.txt",
    }
    assert {path for path, *_ in done.files} == paths_of(tree)
    assert sorted(done.programs) == ["rich", "rich-gui", "shell", "tool"]
    assert sorted(done.placed) == ["bin/rich", "bin/rich-gui", "bin/tool"]
    for path, mode, size, digest, fresh in done.files:
        data = (tree / path).read_bytes()
        assert (size, digest, fresh) == (len(data), hashlib.sha256(data).hexdigest(), True)
        assert stat.S_IMODE((tree / path).stat().st_mode) == mode
        assert mode == (0o755 if path.startswith("bin/") or path.endswith(".sh") else 0o644)
    assert (tree / SITE / info / "INSTALLER").read_bytes() == b"kitbag\n"
    assert (tree / "bin/tool").read_bytes() == f"#!{HOME}/bin/python\nprint('tool')\n".encode()


def test_its_record_has_every_file_as_it_is(tmp_path, rich):
    tree = tmp_path / "tree"
    unpack(tree, rich)
    found = rows(tree, "rich_app-1.0.dist-info")
    site = tree / SITE
    assert {os.path.normpath(site / path) for path in found} == {
        os.path.normpath(tree / path) for path in paths_of(tree)
    }
    assert found.pop("rich_app-1.0.dist-info/RECORD") == ("", "")
    assert "../../../bin/rich" in found
    for path, (digest, size) in found.items():
        data = (site / path).read_bytes()
        assert digest == f"sha256={encoded(hashlib.sha256(data).digest())}"
        assert int(size) == len(data)


def test_where_it_comes_from_is_told_if_that_is_no_index(tmp_path):
    text = '{"url":"https://example.org/app.whl","archive_info":{}}'
    own = {"app-1.0.dist-info/direct_url.json": "a lie", "app.py": ""}
    wheel = make_wheel(tmp_path, "app", files=own)
    for name, said in (("one", ""), ("two", text)):
        unpack(tmp_path / name, wheel, direct_url=said)
        path = tmp_path / name / SITE / "app-1.0.dist-info" / "direct_url.json"
        assert (path.read_text() if path.exists() else "") == said
        listed = "app-1.0.dist-info/direct_url.json" in rows(tmp_path / name, "app-1.0.dist-info")
        assert listed == bool(said)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path, rich, umask):
    before = os.umask(umask)
    try:
        unpack(tmp_path / "tree", rich)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tree" / "lib").rglob("*")}
    assert modes == {0o644, 0o755}


def test_it_is_what_the_library_of_that_name_makes(tmp_path, rich):
    """PyPI's installer, the reference; but for scripts and what an installer says of itself."""
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile

    import installer

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    unpack(ours, rich)
    folders = {
        "purelib": theirs / SITE,
        "platlib": theirs / SITE,
        "scripts": theirs / "bin",
        "headers": theirs / "include/site/python3.13/rich-app",
        "data": theirs,
    }
    destination = SchemeDictionaryDestination(
        {name: str(path) for name, path in folders.items()}, f"{HOME}/bin/python", "posix"
    )
    with WheelFile.open(rich) as source:
        installer.install(source, destination, {"INSTALLER": b"kitbag\n", "REQUESTED": b""})
    assert paths_of(ours) == paths_of(theirs)
    for path in paths_of(ours):
        one, other = (tree / path for tree in (ours, theirs))
        # It leaves scripts that come as files with their modes; pip and uv make them programs.
        if not path.startswith("bin/"):
            assert os.access(one, os.X_OK) == os.access(other, os.X_OK)
        if path not in ("bin/rich", "bin/rich-gui") and not path.endswith("/RECORD"):
            assert one.read_bytes() == other.read_bytes()
    found = rows(ours, "rich_app-1.0.dist-info")
    scripts = {"../../../bin/rich", "../../../bin/rich-gui"}
    assert {path: said for path, said in found.items() if path not in scripts} == {
        path: said
        for path, said in _any_rows(theirs / SITE / "rich_app-1.0.dist-info").items()
        if path not in scripts
    }


def _any_rows(folder: Path) -> dict[str, tuple[str, str]]:
    with open(folder / "RECORD", encoding="utf-8", newline="") as file:
        return {os.path.normpath(path): (digest, size) for path, digest, size in csv.reader(file)}


def test_on_windows_it_goes_elsewhere(tmp_path, rich):
    tree = tmp_path / "tree"
    unpack(tree, rich, key=WINDOWS)
    assert {"Scripts/rich.cmd", "Lib/site-packages/pure.py", "Include/rich-app/rich.h"} <= paths_of(
        tree
    )


# What is wrong with wheels.

EVIL = {
    "../evil.py": "leads out of the environment",
    "a/../../evil.py": "leads out of the environment",
    "/evil.py": "leads out of the environment",
    "a//evil.py": "leads out of the environment",
    "a/./evil.py": "leads out of the environment",
    "a\\..\\evil.py": "leads out of the environment",
    "evil\n.py": "leads out of the environment",
    "app-1.0.data/scripts/../../../../evil": "leads out of the environment",
    "app-1.0.data/nonsense/evil.py": "no place that wheels know",
    "app-1.0.data/data": "no place that wheels know",
    "app-1.0.data/data/.kitbag/receipt.json": "where kitbag's own files are",
    "app.py": "has 'app.py' twice",
    "unlisted.py": "has 'unlisted.py', of which its RECORD does not speak",
}


@pytest.mark.parametrize("name", EVIL)
def test_a_member_that_must_not_be_there_is_refused(tmp_path, name):
    wheel = make_wheel(tmp_path, "app", extra=[(name, b"evil")])
    tree = tmp_path / "deep" / "deeper" / "tree"
    tree.parent.mkdir(parents=True)
    with pytest.raises(ArchiveError, match=EVIL[name]) as caught:
        unpack(tree, wheel)
    assert str(caught.value).startswith("app-1.0-py3-none-any.whl: ")
    assert not [path for path in tmp_path.rglob("*evil*") if tree not in path.parents]


def test_an_entry_point_wins_over_a_script_of_its_name(tmp_path):
    data = {"scripts/tool": "#!python\nprint(0)\n", "scripts/other": "#!python\n"}
    wheel = make_wheel(tmp_path, "a", scripts={"tool": "a:main"}, data=data)
    (done,) = unpack(tmp_path / "tree", wheel)
    assert "from a import main" in (tmp_path / "tree/bin/tool").read_text()
    assert sorted(done.programs) == ["other", "tool"]
    assert sorted(done.placed) == ["bin/other", "bin/tool"]
    assert set(merged([done], str(tmp_path / "tree"))) == paths_of(tmp_path / "tree")
    record = (tmp_path / "tree" / SITE / "a-1.0.dist-info/RECORD").read_text()
    assert record.count("bin/tool,") == 1


def test_a_link_in_a_wheel_is_refused(tmp_path):
    link = member_info("link", mode=0o120777)
    text = record_line("link", b"/etc/passwd")
    wheel = make_wheel(
        tmp_path, "app", extra=[(link, b"/etc/passwd")], record=lambda lines: [*lines, text]
    )
    with pytest.raises(ArchiveError, match="has a member that is a link"):
        unpack(tmp_path / "tree", wheel)


def test_what_is_for_lib64_goes_where_that_leads(tmp_path):
    wheel = make_wheel(tmp_path, "app", data={"data/lib64/app/x": "", "data/lib64x": ""})
    unpack(tmp_path / "tree", wheel)
    assert {"lib/app/x", "lib64x"} < paths_of(tmp_path / "tree")
    assert "../../../lib/app/x" in rows(tmp_path / "tree", "app-1.0.dist-info")


@pytest.mark.parametrize("facts", [{"files": 3}, {"unpacked_size": 1}])
def test_a_manifest_that_says_less_is_refused(tmp_path, facts):
    with pytest.raises(ArchiveError, match="has other files than the manifest"):
        unpack(tmp_path / "tree", make_wheel(tmp_path, "app"), **facts)


LIES = {
    "another hash": (
        lambda lines: [record_line("app.py", b"x"), *lines[1:]],
        "'app.py' is not the file that its RECORD speaks of",
    ),
    "another size": (
        lambda lines: [lines[0].rpartition(",")[0] + ",1\n", *lines[1:]],
        "'app.py' is not the file",
    ),
    "no hash": (lambda lines: ["app.py,,\n", *lines[1:]], "has no hash for 'app.py'"),
    "a weak hash": (lambda lines: ["app.py,md5=x,\n", *lines[1:]], "a hash by 'md5'"),
    "a file that is not there": (
        lambda lines: [*lines, record_line("b.py", b"")],
        "has no 'b.py', of which its RECORD speaks",
    ),
    "a missing line": (lambda lines: lines[1:], "has 'app.py', of which its RECORD does not"),
    "no text": (lambda lines: ["a,b\n"], "its RECORD has a line of 2 fields"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_record_that_lies_is_refused(tmp_path, lie):
    change, said = LIES[lie]
    with pytest.raises(ArchiveError, match=said):
        unpack(tmp_path / "tree", make_wheel(tmp_path, "app", record=change))


def test_other_hashes_in_a_record_do(tmp_path):
    def change(lines):
        data = b"x = 1\n"
        return [f"app.py,sha512={encoded(hashlib.sha512(data).digest())},\n", *lines[1:]]

    wheel = make_wheel(tmp_path, "app", files={"app.py": "x = 1\n"}, record=change)
    unpack(tmp_path / "tree", wheel)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"info": "other-1.0.dist-info"}, "metadata of another project"),
        ({"info": "nothing"}, r"has 0 \.dist-info directories"),
        ({"wheel": "Wheel-Version: 2.0\n"}, "version 2 of the wheel format"),
        ({"wheel": "nothing\n"}, "does not tell the version of the wheel format"),
        ({"scripts": {"../../../evil": "app:main"}}, "is no program"),
        ({"extra": [("b-1.dist-info/RECORD", b"")]}, r"has 2 \.dist-info directories"),
    ],
)
def test_other_broken_wheels_are_refused(tmp_path, shape, said):
    with pytest.raises(ArchiveError, match=said):
        unpack(tmp_path / "tree", make_wheel(tmp_path, "app", **shape))


@pytest.mark.parametrize("at", [0, 40, -60, -10, "middle"])
def test_damage_is_told_as_damage(tmp_path, at):
    wheel = make_wheel(tmp_path, "app")
    facts = wheel_facts(wheel)
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2 if at == "middle" else at] ^= 0x55
    wheel.write_bytes(data)
    with pytest.raises(DigestMismatch, match=r"app-1.*: its sha256 is not .*copy it again"):
        unpack(tmp_path / "tree", wheel, sha256=facts.sha256)


def test_no_space_is_an_error_about_the_place(tmp_path, monkeypatch):
    wheel = make_wheel(tmp_path, "app")

    def write(*_):
        raise OSError(28, "No space left on device")

    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(FileSystemError, match="No space left on device; free some space"):
        unpack(tree, wheel)


# Several wheels.


def two(tmp_path: Path, one: str, other: str) -> tuple[Path, list[Unpacked]]:
    tree = tmp_path / "tree"
    wheels = [
        make_wheel(tmp_path, name, files={"shared/x.py": text})
        for name, text in (("one", one), ("two", other))
    ]
    return tree, unpack(tree, *wheels)


def test_the_same_file_from_two_wheels_is_one(tmp_path):
    tree, done = two(tmp_path, "x = 1\n", "x = 1\n")
    assert [[fresh for path, *_, fresh in each.files if "shared" in path] for each in done] == [
        [True],
        [False],
    ]
    files = merged(done, str(tree))
    assert files[f"{SITE}/shared/x.py"].size == 6


def test_different_files_for_one_path_are_refused(tmp_path):
    tree, done = two(tmp_path, "x = 1\n", "x = 2\n")
    said = r"one-1\.0-.* and two-1\.0-.* have different files for .*shared/x\.py; pack"
    with pytest.raises(BundleError, match=said):
        merged(done, str(tree))


def test_a_file_that_only_one_may_run_may_be_run(tmp_path):
    wheels = [
        make_wheel(tmp_path, "one", files={"x.sh": "#!"}),
        make_wheel(tmp_path, "two", files={"x.sh": "#!"}, modes={"x.sh": 0o755}),
    ]
    tree = tmp_path / "tree"
    files = merged(unpack(tree, *wheels), str(tree))
    assert files[f"{SITE}/x.sh"].mode == 0o755
    assert os.access(tree / SITE / "x.sh", os.X_OK)


def test_names_that_are_the_same_there_are_told(tmp_path):
    done = Unpacked("one.whl", [("A", 0o644, 1, "x", True), ("a", 0o644, 1, "y", False)], [], [])
    with pytest.raises(BundleError, match=r"one\.whl: a and another file have the same name"):
        merged([done], str(tmp_path))


def test_a_file_where_another_wheel_has_a_folder_is_an_error(tmp_path):
    wheels = [
        make_wheel(tmp_path, "one", files={"x/y.py": ""}),
        make_wheel(tmp_path, "two", files={"x": "file"}),
    ]
    tree = tmp_path / "one"
    with pytest.raises(BundleError, match=r"two-.*/x is a file, and a directory in another wheel"):
        merged(unpack(tree, *wheels), str(tree))
    with pytest.raises(FileSystemError, match="Not a directory"):
        unpack(tmp_path / "two", *wheels[::-1])
