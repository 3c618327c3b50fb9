from __future__ import annotations

import base64
import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kitbag_bundles
import kitbag_installer
from kitbag_bundles.contents import Entry
from kitbag_bundles.errors import DoesNotFit
from kitbag_bundles.keys import BuildKey
from kitbag_installer.rewriting import candidates, leftover_prefixes, rewrite_tree

from .texts import ODD_HOMES, PLAIN_HOMES, all_texts

TEXTS = all_texts()
SOURCES = os.pathsep.join(
    str(Path(package.__path__[0]).parent) for package in (kitbag_bundles, kitbag_installer)
)
EACH = pytest.mark.parametrize("texts", TEXTS, ids=lambda texts: texts.interpreter.minor)
KEY = BuildKey.parse("cpython-3.13.0-linux-x86_64-gnu")
OTHERS = [
    "cpython-3.13.0-windows-x86_64-none",
    "pypy-3.11.13-linux-x86_64-gnu",
    "graalpy-3.12.0-linux-x86_64-gnu",
    "pyodide-3.13.2-emscripten-wasm32-musl",
]


@EACH
def test_no_prefix_is_left_anywhere(texts) -> None:
    pristine = texts.bytes
    assert {path for path, _ in leftover_prefixes(texts.key, pristine)} >= {
        path for path in pristine if "Makefile" in path or "sysconfig" in path
    }
    for home in (*PLAIN_HOMES, *ODD_HOMES):
        result = rewrite_tree(texts.key, pristine, home)
        assert [one.path for one in result] == sorted(one.path for one in result)
        assert all(one.pristine == pristine[one.path] != one.content for one in result)
        tree = {**pristine, **{one.path: one.content for one in result}}
        assert not leftover_prefixes(texts.key, tree, home)
        assert {one.path for one in result} == set(pristine)
        assert result == rewrite_tree(texts.key, pristine, home)


@EACH
def test_records_agree(texts) -> None:
    result = {one.path: one.content for one in rewrite_tree(texts.key, texts.bytes, "/opt/x")}
    pip = result[f"bin/pip{texts.interpreter.minor}"]
    digest = base64.urlsafe_b64encode(hashlib.sha256(pip).digest()).rstrip(b"=").decode()
    (record,) = (content for path, content in result.items() if path.endswith("RECORD"))
    assert record.decode() == (
        f"../../../bin/pip{texts.interpreter.minor},sha256={digest},{len(pip)}\r\n"
        "pip/__init__.py,sha256=abc,7\r\n"
    )


@EACH
def test_self_relative_files_are_the_same_everywhere(texts) -> None:
    one, two = (
        {r.path: r.content for r in rewrite_tree(texts.key, texts.bytes, home)}
        for home in ("/opt/x", "/o p/y")
    )
    same = {path for path in one if one[path] == two[path]}
    minor = texts.interpreter.minor
    assert same == {
        path
        for path in one
        if path.endswith((".pc", "build-details.json", f"python{minor}-config"))
    }


@pytest.mark.parametrize("text", OTHERS)
def test_other_builds_need_nothing(text: str) -> None:
    key = BuildKey.parse(text)
    files = {"bin/pip": b"#!/install/bin/python3\n"}
    entries = [Entry("bin/pip", "f", 0o755, 20, "0" * 64, "")]
    assert candidates(key, entries) == ()
    assert rewrite_tree(key, files, "/opt/x") == ()
    assert leftover_prefixes(key, files) == []
    with pytest.raises(DoesNotFit):
        rewrite_tree(key, files, "/a\nb")


def test_candidates_are_chosen_by_name() -> None:
    yes = [
        "bin/pip3",
        "bin/python3.13-config",
        "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py",
        "lib/python3.13/_sysconfig_vars__linux_x86_64-linux-gnu.json",
        "lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile",
        "lib/python3.13/config-3.13-x86_64-linux-gnu/python-config.py",
        "lib/pkgconfig/python-3.13.pc",
        "lib/python3.13/build-details.json",
        "lib/python3.13/site-packages/pip-26.dist-info/RECORD",
        "lib/python3.13/cgi.py",
        "lib/tclConfig.sh",
        "lib/itcl4.3.8/itclConfig.sh",
    ]
    no = [
        "bin/sub/pip",
        "lib/python3.13/os.py",
        "lib/python3.13/test/_sysconfigdata__x.py",
        "lib/python3.12/cgi.py",
        "lib/python3.13/config-3.13-x86_64-linux-gnu/Setup",
        "lib/python3.13/site-packages/pip/RECORD",
        "lib/python3.13/myConfig.sh",
        "share/x/tclConfig.sh",
    ]
    entries = [Entry(path, "f", 0o644, 9, "0" * 64, "") for path in yes + no]
    entries += [
        Entry("bin/python3.13", "f", 0o755, 20_000_000, "0" * 64, ""),
        Entry("bin/pip", "l", 0o777, 0, "", "pip3"),
        Entry("lib/pkgconfig/python3.pc", "l", 0o777, 0, "", "python-3.13.pc"),
    ]
    assert candidates(KEY, entries) == tuple(yes)
    threads = BuildKey.parse("cpython-3.13.0+freethreaded-linux-x86_64-gnu")
    entry = Entry("lib/python3.13t/_sysconfigdata_t_x.py", "f", 0o644, 9, "0" * 64, "")
    assert candidates(threads, [entry]) == (entry.path,)
    assert candidates(KEY, [entry]) == ()


def test_the_free_threaded_interpreter_is_named() -> None:
    key = BuildKey.parse("cpython-3.13.0+freethreaded-macos-aarch64-none")
    script = b'#!/bin/sh\n"exec" "$(dirname $0)/python3.13" "$0" "$@"\nx\n'
    (one,) = rewrite_tree(key, {"bin/pip": script}, "/opt/x")
    assert one.content == b"#!/opt/x/bin/python3.13t\nx\n"


@pytest.mark.parametrize(
    "data", [b"\x7fELF/install\0", b"#!/install/bin/python3\n\xff\n", b"#!/install/bin/python3\n\0"]
)
def test_binary_files_are_never_touched(data: bytes) -> None:
    path = "lib/pkgconfig/x.pc"
    for name in ("bin/x", path, "lib/python3.13/config-x/Makefile"):
        assert rewrite_tree(KEY, {name: data}, "/opt/x") == ()
        assert leftover_prefixes(KEY, {name: data}) == []


def test_leftovers_are_told_by_line() -> None:
    files = {
        "bin/x": b"#!/bin/sh\n/usr/bin/install\n/install\n",
        "lib/python3.13/os.py": b"/install",
        "lib/pkgconfig/a.pc": b"\n\nx -L/install/lib\n/install/py/lib\n",
    }
    expected = [("bin/x", 3), ("lib/pkgconfig/a.pc", 3)]
    assert leftover_prefixes(KEY, files) == [*expected, ("lib/pkgconfig/a.pc", 4)]
    assert leftover_prefixes(KEY, files, "/install/py") == expected


PATHS = st.sampled_from(
    [
        "bin/a",
        "bin/python3.13-config",
        "lib/pkgconfig/a.pc",
        "lib/tclConfig.sh",
        "lib/python3.13/_sysconfig_vars__x.json",
        "lib/python3.13/config-x/Makefile",
        "lib/python3.13/build-details.json",
    ]
)
PIECES = st.sampled_from(
    [
        *("/install", "/install/lib", "-L", "-I", " ", "\n", "A=", "'", '"', "/tools/x", "prefix="),
        *(":", "#!/install/bin/python3\n", "CC=clang", "\\\n", "$(x)", "\t", "ü", '"a": "'),
        "-isysroot ",
    ]
)


@settings(max_examples=300)
@given(st.dictionaries(PATHS, st.lists(PIECES).map("".join)), st.sampled_from(PLAIN_HOMES))
def test_any_text_is_taken_and_no_prefix_survives(files: dict[str, str], home: str) -> None:
    pristine = {path: text.encode() for path, text in files.items()}
    result = rewrite_tree(KEY, pristine, home)
    assert result == rewrite_tree(KEY, pristine, home)
    for one in result:
        one.content.decode()
        if "Makefile" in one.path:
            tree = {one.path: one.content}
            assert not leftover_prefixes(KEY, tree, home)


def test_the_python_variant_of_the_config_script() -> None:
    text = "#!/install/bin/python3.13\nimport sysconfig\nx = '-I' + sysconfig.get_path('include')\n"
    (one,) = rewrite_tree(KEY, {"bin/python3.13-config": text.encode()}, "/opt/x")
    lines = one.content.decode().split("\n")
    assert lines[0] == "#!/opt/x/bin/python3.13"
    assert lines[-2] == "x = '-I' + quoted(sysconfig.get_path('include'))"


_ELSEWHERE = """
import pickle, sys
from kitbag_bundles.keys import BuildKey
from kitbag_installer.rewriting import rewrite_tree
key, files, home = pickle.load(open(sys.argv[1], "rb"))
result = [tuple(one) for one in rewrite_tree(BuildKey.parse(key), files, home)]
sys.stdout.buffer.write(pickle.dumps(result))
"""


@EACH
def test_every_python_from_3_9_on_writes_the_same_bytes(texts, tmp_path: Path) -> None:
    if texts.interpreter.version < (3, 9):
        pytest.skip("the installer needs Python 3.9")
    (tmp_path / "work").write_bytes(pickle.dumps((str(texts.key), texts.bytes, ODD_HOMES[0])))
    done = subprocess.run(
        [texts.interpreter.path, "-S", "-B", "-W", "error", "-c", _ELSEWHERE, tmp_path / "work"],
        env={"PYTHONPATH": SOURCES},
        capture_output=True,
        check=True,
    )
    expected = [tuple(one) for one in rewrite_tree(texts.key, texts.bytes, ODD_HOMES[0])]
    assert pickle.loads(done.stdout) == expected


def test_the_whole_package_imports_only_the_standard_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import kitbag_installer.rewriting.plan as p;"
        "p._rewriters('/x', '/x'); late = {'ast', 'csv', 'shlex', 'hashlib', 'base64', 'pprint'};"
        "print(sorted(late & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": SOURCES},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == "[]\n"
