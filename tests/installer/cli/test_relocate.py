import os

import pytest

from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny

KEY, OLDER = host_key(), host_key("3.12.9")


@pytest.fixture
def moved(tmp_path) -> Root:
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5")
    install_tiny(bundle, tmp_path / "old", bin_dir=str(tmp_path / "bin"))
    os.rename(tmp_path / "old", tmp_path / "new")
    return Root(str(tmp_path / "new"))


def test_what_is_mended_is_told(capfd, moved, tmp_path):
    done = run_kitbag(capfd, "relocate", "3.13", "--root", moved.path)
    assert (done.status, done.err) == (0, "")
    start, _, end = done.out.partition(": ")
    assert start == f" ~ {KEY}"
    assert end.endswith(f" files, from {tmp_path}/old/{KEY}\n")
    done = run_kitbag(capfd, "relocate", "3.13", "--root", moved.path)
    assert done.out == f"{KEY} is where it was installed\n"
    assert run_kitbag(capfd, "verify", "3.13", "--root", moved.path).status == 0
    assert run_kitbag(capfd, "verify", "3.12", "--root", moved.path).status == 3


def test_json(capfd, moved, tmp_path):
    found = run_kitbag(capfd, "relocate", "--root", moved.path, "--json").json
    assert found["root"] == moved.path
    assert [build["key"] for build in found["builds"]] == [str(OLDER), str(KEY)]
    assert found["builds"][1]["old-home"] == f"{tmp_path}/old/{KEY}"
    assert found["builds"][1]["home"] == f"{tmp_path}/new/{KEY}"
    assert found["builds"][1]["rewritten"] > 5
    assert f"{tmp_path}/bin/python3.13" in found["links"]
    assert run_kitbag(capfd, "verify", "--root", moved.path).status == 0


def test_builds_of_other_tools_are_told(capfd, moved):
    foreign = host_key("3.11.7")
    os.mkdir(moved.install_path(foreign))
    done = run_kitbag(capfd, "relocate", "--root", moved.path, "-q")
    assert done.status == 0
    assert done.err == (
        f"kitbag: warning: {foreign} was installed by another tool and can't be relocated\n"
    )


def test_nothing_to_mend(capfd, tmp_path):
    assert run_kitbag(capfd, "relocate", "--root", tmp_path / "r").status == 4
    (tmp_path / "r").mkdir()
    done = run_kitbag(capfd, "relocate", "--root", tmp_path / "r")
    assert done == (0, f"nothing is installed in {tmp_path}/r\n", "")
    assert run_kitbag(capfd, "relocate", "3.13", "--root", tmp_path / "r").status == 4
