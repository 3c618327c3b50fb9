import os
import threading

import pytest

from kitbag_bundles.errors import FileSystemError, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.roots import Root, default_bin_dir, default_root

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")


def test_where_things_are():
    root = Root("/opt/py")
    assert root.install_path(KEY) == "/opt/py/cpython-3.13.5-linux-x86_64-gnu"
    assert root.minor_link(KEY) == "/opt/py/cpython-3.13-linux-x86_64-gnu"
    assert root.lock_file == "/opt/py/.lock"
    assert root.own == "/opt/py/.kitbag"
    one, other = root.scratch("stage"), root.scratch("stage")
    assert one != other
    assert one.startswith("/opt/py/.temp/kitbag-stage-")


def test_a_root_is_absolute_and_links_in_its_path_stay(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("elsewhere")
    assert Root.at("link/py/../py").path == str(tmp_path / "link" / "py")
    assert Root.at("~/py").path == str(home / "py")
    assert Root.at("/opt/py/").path == "/opt/py"


def test_preparing_makes_what_uv_makes(tmp_path):
    root = Root(str(tmp_path / "new" / "root"))
    root.prepare()
    root.prepare()
    assert os.path.isdir(root.temp)
    assert (tmp_path / "new" / "root" / ".gitignore").read_text() == "*"


def test_preparing_leaves_a_gitignore_of_someone_else(tmp_path):
    (tmp_path / ".gitignore").write_text("mine\n")
    Root(str(tmp_path)).prepare()
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_preparing_at_once_from_everywhere(tmp_path):
    root = Root(str(tmp_path / "root"))
    errors = []

    def prepare() -> None:
        try:
            root.prepare()
        except FileSystemError as error:
            errors.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.parametrize("where", ["", ".temp", "below/it"])
def test_a_file_in_the_way_is_told(tmp_path, where):
    root = tmp_path / "root"
    if where == ".temp":
        root.mkdir()
        (root / ".temp").write_text("")
    else:
        root.write_text("")
    path = str(root / where) if where == "below/it" else str(root)
    with pytest.raises(FileSystemError, match=r"root.*choose another") as caught:
        Root(path).prepare()
    assert path in str(caught.value)


def test_builds_are_real_directories_with_a_key_for_a_name(tmp_path):
    for name in (
        "cpython-3.13.5-linux-x86_64-gnu",
        "pypy-3.11.15-linux-x86_64-gnu",
        "cpython-3.13.5+t-linux-x86_64-gnu",
        "cpython-03.13.5-linux-x86_64-gnu",
        "cpython-3.13-linux-x86_64-gnu",
        ".temp",
        "odd",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / "cpython-3.12.1-linux-x86_64-gnu").symlink_to(tmp_path / "odd")
    (tmp_path / "cpython-3.12.2-linux-x86_64-gnu").write_text("")
    root = Root(str(tmp_path))
    found = list(root.builds())
    assert [str(key) for key in found] == [
        "cpython-3.13.5-linux-x86_64-gnu",
        "pypy-3.11.15-linux-x86_64-gnu",
    ]
    # Whoever goes by a key must find its directory.
    assert all(os.path.isdir(root.install_path(key)) for key in found)


def test_a_root_that_is_not_there_has_no_builds(tmp_path):
    assert list(Root(str(tmp_path / "nothing")).builds()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(FileSystemError, match="can't be read"):
        list(Root(str(tmp_path / "file")).builds())


@pytest.mark.parametrize(
    ("environ", "program", "expected"),
    [
        ({"HOME": "/h"}, "", "/h/.local/share/kitbag/python"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/data"}, "", "/data/kitbag/python"),
        ({"HOME": "/h", "XDG_DATA_HOME": "data"}, "", "/h/.local/share/kitbag/python"),
        ({"HOME": "/h", "XDG_DATA_HOME": ""}, "", "/h/.local/share/kitbag/python"),
        ({"HOME": "/h", "KITBAG_ROOT": "/opt/py"}, "", "/opt/py"),
        ({"HOME": "/h", "KITBAG_ROOT": ""}, "", "/h/.local/share/kitbag/python"),
        ({"HOME": "/h"}, "/opt/py/.kitbag/kitbag.pyz", "/opt/py"),
        ({"KITBAG_ROOT": "/other"}, "/opt/py/.kitbag/kitbag.pyz", "/other"),
        ({"HOME": "/h"}, "/mnt/stick/kitbag.pyz", "/h/.local/share/kitbag/python"),
        ({"HOME": "/h"}, "/mnt/.kitbag/other.pyz", "/h/.local/share/kitbag/python"),
    ],
)
def test_the_default_root(environ, program, expected):
    assert default_root(environ, program).path == expected


def test_without_a_home_there_is_no_default_root():
    with pytest.raises(UsageError, match=r"HOME is not set.*--root DIR"):
        default_root({})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.local/bin"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/data/share"}, "/data/bin"),
        ({"HOME": "/h", "XDG_DATA_HOME": "data"}, "/h/.local/bin"),
        ({"HOME": "/h", "XDG_BIN_HOME": "/b/./in", "XDG_DATA_HOME": "/data"}, "/b/in"),
        ({"HOME": "/h", "XDG_BIN_HOME": "b"}, "/h/.local/bin"),
        ({"HOME": "/h", "XDG_BIN_HOME": "/b", "KITBAG_BIN_DIR": "/k/../k"}, "/k"),
        ({}, ""),
    ],
)
def test_the_default_bin_directory_is_uvs(environ, expected):
    assert default_bin_dir(environ) == expected
