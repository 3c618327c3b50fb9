import pytest

from kitbag_bundles.implementations.cpython import ADAPTER
from kitbag_bundles.keys import BuildKey


@pytest.mark.parametrize(
    ("build", "program", "library", "name"),
    [
        ("3.13.5-linux-x86_64-gnu", "bin/python3.13", "lib/python3.13", "python3.13"),
        ("3.13.5-linux-x86_64_v3-musl", "bin/python3.13", "lib/python3.13", "python3.13"),
        ("3.13.5-macos-aarch64-none", "bin/python3.13", "lib/python3.13", "python3.13"),
        ("3.13.5-windows-x86_64-none", "python.exe", "Lib", "python3.13"),
        ("3.14.0rc1+debug-linux-x86_64-gnu", "bin/python3.14d", "lib/python3.14", "python3.14d"),
        (
            "3.13.5+freethreaded-linux-x86_64-musl",
            "bin/python3.13t",
            "lib/python3.13t",
            "python3.13t",
        ),
        (
            "3.13.5+freethreaded+debug-linux-x86_64-gnu",
            "bin/python3.13td",
            "lib/python3.13t",
            "python3.13td",
        ),
        ("3.13.5+freethreaded-windows-x86_64-none", "python.exe", "Lib", "python3.13t"),
    ],
)
def test_names(build, program, library, name):
    key = BuildKey.parse(f"cpython-{build}")
    assert ADAPTER.executable(key) == program
    assert ADAPTER.libraries(key) == (library,)
    assert ADAPTER.site_packages(library) == f"{library}/site-packages"
    assert ADAPTER.names(key, default=False) == (name,)
    assert ADAPTER.is_rewritten(key) == (key.target.os != "windows")
    assert ADAPTER.licence("install_only") == ""


def test_the_link_that_archives_may_lack():
    key = BuildKey.parse("cpython-3.13.5+debug-linux-x86_64-gnu")
    assert ADAPTER.links(key, {"bin/python3.13d"}) == {"bin/python": "python3.13d"}
    assert ADAPTER.links(key, {"bin/python3.13d", "bin/python"}) == {}
    windows = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
    assert ADAPTER.links(windows, {"python.exe"}) == {}


def test_the_first_free_threaded_builds_for_windows_lack_their_usual_name():
    key = BuildKey.parse("cpython-3.13.0+freethreaded-windows-x86_64-none")
    assert ADAPTER.copies(key, {"python3.13t.exe"}) == {"python.exe": "python3.13t.exe"}
    assert ADAPTER.copies(key, {"python3.13t.exe", "python.exe"}) == {}
    assert ADAPTER.copies(key, {"pythonw.exe"}) == {}
    plain = BuildKey.parse("cpython-3.13.0-windows-x86_64-none")
    assert ADAPTER.copies(plain, {"python3.13t.exe"}) == {}
