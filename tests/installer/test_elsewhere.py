import os

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.elsewhere import check_seen_as, is_windows_path, seen_home, whose
from kitbag_installer.hosts import Host
from kitbag_installer.receipts import Receipt, write_receipt
from kitbag_installer.roots import Root

LINUX = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
MACOS = BuildKey.parse("cpython-3.13.5-macos-aarch64-none")
WINDOWS = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
MUSL = BuildKey.parse("cpython-3.13.5-linux-x86_64-musl")
HOST = Host("linux", "x86_64", "gnu", "2.36", 3)


@pytest.mark.parametrize(
    ("given", "home"),
    [
        ("", "/srv/py/cpython-3.13.5-windows-x86_64-none"),
        ("/opt/py", "/opt/py/cpython-3.13.5-windows-x86_64-none"),
        ("C:\\py", "C:\\py\\cpython-3.13.5-windows-x86_64-none"),
        ("\\\\server\\py", "\\\\server\\py\\cpython-3.13.5-windows-x86_64-none"),
    ],
)
def test_the_home_is_where_the_build_will_be(given, home):
    assert seen_home(Root("/srv/py"), WINDOWS, given) == home


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("/opt/py", "/opt/py"),
        ("/opt//py/../py/", "/opt/py"),
        ("//opt/py", "/opt/py"),
        ("/opt/my py", "/opt/my py"),
    ],
)
def test_a_path_that_any_build_can_have(given, normal):
    assert check_seen_as(given, [LINUX, WINDOWS]) == normal


@pytest.mark.parametrize("given", ["py", "./py", "~/py", "", "/", "/opt/..", "/a\nb", "/\udce9"])
def test_a_path_that_none_can_have(given):
    with pytest.raises(UsageError, match="--seen-as"):
        check_seen_as(given, [LINUX])


def test_a_path_of_windows_is_for_windows_alone():
    assert check_seen_as("C:\\py\\.\\x\\", [WINDOWS]) == "C:\\py\\x"
    assert not is_windows_path("C:py")
    with pytest.raises(UsageError, match="macos-aarch64-none is for macos"):
        check_seen_as("C:\\py", [WINDOWS, MACOS])


def put(root: Root, key: BuildKey, home: str, *, foreign: bool) -> None:
    place = root.install_path(key)
    os.makedirs(place)
    receipt = Receipt(key, home, "1", "", "", {}, {}, "", "", {}, {}, {}, foreign=foreign)
    write_receipt(place, receipt, b"", b"")


@pytest.mark.parametrize(
    ("key", "clause"),
    [
        (MACOS, "for macos-aarch64"),
        (WINDOWS, "for windows-x86_64"),
        (MUSL, "for linux-x86_64-musl"),
    ],
)
def test_what_can_not_run_here_is_for_elsewhere_whoever_installed_it(tmp_path, key, clause):
    root = Root(str(tmp_path))
    assert whose(root, key, HOST) == clause
    put(root, key, root.install_path(key), foreign=True)
    assert whose(root, key, HOST) == clause


@pytest.mark.parametrize(
    ("home", "foreign", "clause"),
    [
        ("here", False, ""),
        ("here", True, ""),
        # Moved, which is another matter.
        ("/opt/py/x", False, ""),
        ("/opt/py/x", True, "for /opt/py"),
    ],
)
def test_what_runs_here_is_for_the_place_that_it_was_rewritten_for(tmp_path, home, foreign, clause):
    root = Root(str(tmp_path))
    put(root, LINUX, root.install_path(LINUX) if home == "here" else home, foreign=foreign)
    assert whose(root, LINUX, HOST) == clause


def test_a_receipt_that_can_not_be_read_says_nothing(tmp_path):
    root = Root(str(tmp_path))
    put(root, LINUX, "/opt/py/x", foreign=True)
    (tmp_path / str(LINUX) / ".kitbag" / "receipt.json").write_text("{")
    assert whose(root, LINUX, HOST) == ""
