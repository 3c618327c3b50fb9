import os
from pathlib import Path

import pytest

from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny

KEY, OLDER = host_key(), host_key("3.12.9")
PLAIN = "lib/python3.13/os.py"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.12.9", "3.13.5")


@pytest.fixture
def root(bundle, tmp_path) -> Root:
    return install_tiny(bundle, tmp_path / "root")


def test_what_is_mended_is_told(capfd, bundle, root):
    place = Path(root.install_path(KEY))
    (place / PLAIN).unlink()
    (place / "BUILD").write_text("other")
    before = sorted(place.rglob("*"))
    done = run_kitbag(capfd, "repair", bundle, "--root", root.path, "--dry-run")
    assert done == (0, f"{OLDER}: sound\n{KEY}: would mend 2 paths\n  BUILD\n  {PLAIN}\n", "")
    assert sorted(place.rglob("*")) == before
    done = run_kitbag(capfd, "repair", bundle, "3.13", "--root", root.path)
    assert done == (0, f"{KEY}: mended 2 paths\n  BUILD\n  {PLAIN}\n", "")
    done = run_kitbag(capfd, "repair", bundle, "3.13", "--root", root.path)
    assert done == (0, f"{KEY}: sound\n", "")
    assert run_kitbag(capfd, "verify", "--root", root.path).status == 0


def test_json(capfd, bundle, root):
    place = Path(root.install_path(KEY))
    (place / PLAIN).unlink()
    older = Path(root.install_path(OLDER))
    (older / "lib/python3.12/os.py").unlink()
    (older / "lib/python3.12/os.py").mkdir()
    (older / "lib/python3.12/os.py/mine").write_text("")
    done = run_kitbag(capfd, "repair", bundle, "--root", root.path, "--json")
    assert done.status == 1
    assert done.err.startswith(f"kitbag: error: {older}/lib/python3.12/os.py: a directory with")
    first, second = done.json["builds"]
    assert (done.json["root"], done.json["dry-run"]) == (root.path, False)
    assert (first["action"], first["error"]["code"]) == ("failed", "file-system")
    assert second == {
        "key": str(KEY), "path": str(place), "action": "repaired", "mended": [PLAIN],
    }  # fmt: skip


def test_long_lists_are_cut_short_for_people(capfd, bundle, root, monkeypatch):
    place = Path(root.install_path(KEY))
    for path in ("BUILD", PLAIN, "bin/python3"):
        (place / path).unlink()
    monkeypatch.setattr("kitbag_installer.cli.repair._SHOWN", 1)
    done = run_kitbag(capfd, "repair", bundle, "3.13", "--root", root.path)
    assert done.out.splitlines()[1:] == ["  BUILD", "  and 2 more; --json tells all"]


def test_a_build_of_another_tool(capfd, bundle, root):
    place = Path(root.install_path(KEY))
    for path in sorted((place / ".kitbag").iterdir()):
        path.unlink()
    (place / ".kitbag").rmdir()
    done = run_kitbag(capfd, "repair", bundle, "3.13", "--root", root.path)
    assert done == (0, f"{KEY}: taken over; written 0 paths\n", "")
    assert run_kitbag(capfd, "verify", "3.13", "--root", root.path).status == 0


def test_a_moved_build_is_told_to_be_moved(capfd, bundle, root, tmp_path):
    os.rename(root.path, tmp_path / "new")
    (tmp_path / "new" / str(KEY) / PLAIN).unlink()
    done = run_kitbag(capfd, "repair", bundle, "3.13", "--root", tmp_path / "new")
    assert done.status == 0
    assert done.err == (
        f"kitbag: warning: {KEY} was moved from {root.install_path(KEY)}; run kitbag relocate\n"
    )


@pytest.mark.parametrize(
    ("words", "status"), [(["nothing.kitbag"], 2), ([], 2), (["BUNDLE", "3.9"], 4)]
)
def test_what_can_not_be(capfd, bundle, root, words, status):
    arguments = [bundle if word == "BUNDLE" else word for word in words]
    done = run_kitbag(capfd, "repair", *arguments, "--root", root.path)
    assert done.status == status
    assert "error: " in done.err
