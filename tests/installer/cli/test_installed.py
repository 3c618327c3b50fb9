from pathlib import Path

import pytest

from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny

KEY, OLDER = host_key(), host_key("3.12.9")


@pytest.fixture
def root(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5")
    return install_tiny(bundle, tmp_path / "root")


def test_one_line_for_each_build(capfd, root):
    done = run_kitbag(capfd, "installed", "--root", root.path)
    assert done == (
        0,
        (
            f"{OLDER}  {root.install_path(OLDER)}/bin/python3.12\n"
            f"{KEY}  {root.install_path(KEY)}/bin/python3.13\n"
        ),
        "",
    )


def test_what_is_odd_is_noted(capfd, root):
    foreign = host_key("3.11.7", "freethreaded")
    program = Path(root.install_path(foreign), "bin", "python3.11t")
    program.parent.mkdir(parents=True)
    program.write_text("")
    Path(root.install_path(KEY), ".kitbag", "receipt.json").write_text("")
    lines = run_kitbag(capfd, "installed", "--root", root.path).out.splitlines()
    width = len(str(foreign))
    assert lines[0].endswith("python3.11t  (by another tool)")
    assert all(line[width : width + 2] == "  " for line in lines)
    assert "the receipt can't be read" in lines[2]


def test_json(capfd, root):
    found = run_kitbag(capfd, "installed", "3.13", "--root", root.path, "--json").json
    assert found == {
        "root": root.path,
        "builds": [
            {
                "key": str(KEY),
                "path": root.install_path(KEY),
                "executable": f"{root.install_path(KEY)}/bin/python3.13",
                "release": "20260101",
                "by": "kitbag",
                "by-kitbag": True,
                "current": True,
                "pinned": False,
                "problem": "",
                "for": "",
            }
        ],
        "environments": [],
    }


def test_nothing(capfd, tmp_path):
    done = run_kitbag(capfd, "installed", "--root", tmp_path / "r")
    assert done == (0, f"nothing is installed in {tmp_path}/r\n", "")
    found = run_kitbag(capfd, "installed", "--root", tmp_path / "r", "--json").json
    assert found == {"root": f"{tmp_path}/r", "builds": [], "environments": []}
    done = run_kitbag(capfd, "installed", "3.13", "--root", tmp_path / "r")
    assert (done.status, done.out) == (4, "")
    assert done.err == (
        "kitbag: error: nothing installed matches '3.13'; installed: nothing; "
        "if it is in another root, name that with --root\n"
    )
