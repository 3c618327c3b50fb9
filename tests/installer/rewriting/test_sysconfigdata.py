from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.rewriting import sysconfigdata
from support.require import require

from .texts import HEADER, ODD_HOMES, PLAIN_HOMES, all_texts, json_style, stock_style

TEXTS = all_texts()
EACH = pytest.mark.parametrize("texts", TEXTS, ids=lambda texts: texts.interpreter.minor)

_STRING = r'"(?:[^"\\\n]|\\["\\])*"'
UV_FORM = re.compile(
    re.escape(HEADER) + r"build_time_vars = \{\n"
    rf"(?:    {_STRING}: (?:-?\d+|{_STRING}),\n)*    {_STRING}: (?:-?\d+|{_STRING})\n\}}\n"
)


@EACH
def test_the_interpreter_itself_reads_it(texts, tmp_path: Path) -> None:
    program = "import json, sysconfig; print(json.dumps(sysconfig.get_config_vars()))"
    for number, home in enumerate((PLAIN_HOMES[0], *ODD_HOMES)):
        folder = tmp_path / str(number)
        folder.mkdir()
        new = sysconfigdata.rewrite(texts.sysconfigdata, home)
        (folder / "kitbag_data.py").write_text(new, encoding="utf-8")
        done = subprocess.run(
            [texts.interpreter.path, "-S", "-B", "-c", program],
            env={"_PYTHON_SYSCONFIGDATA_NAME": "kitbag_data", "PYTHONPATH": str(folder)},
            capture_output=True,
            check=True,
        )
        seen = json.loads(done.stdout)
        assert seen["LIBDIR"] == f"{home}/lib"
        assert seen["INCLUDEPY"] == f"{home}/include/python{texts.interpreter.minor}"
        assert seen["CC"] == "cc -pthread"
        assert seen["PYTHON_BUILD_STANDALONE"] == 1
        expected = sysconfigdata.parse(new)
        computed = {"srcdir", "userbase", "prefix", "exec_prefix"}
        for name, value in expected.items():
            assert name in computed or seen[name] == value


@EACH
def test_nothing_names_the_build_machine(texts) -> None:
    values = sysconfigdata.parse(sysconfigdata.rewrite(texts.sysconfigdata, "/H"))
    paths = re.compile(r"(?<![\w.)}/])/(?:install|tools|build|var|private)(?=/|$)")
    assert not {k: v for k, v in values.items() if isinstance(v, str) and paths.search(v)}
    assert values["CONFIG_ARGS"].startswith("'--build=x86_64-unknown-linux-gnu' '--prefix=/H' ")
    assert values["WASM_ASSETS_DIR"] == "./install"


@EACH
def test_both_forms_give_the_same_text_within_uvs_grammar(texts) -> None:
    for home in (*PLAIN_HOMES, *ODD_HOMES):
        new = sysconfigdata.rewrite(json_style(texts.values), home)
        assert new == sysconfigdata.rewrite(stock_style(texts.values), home)
        assert UV_FORM.fullmatch(new)
        names = list(sysconfigdata.parse(new))
        assert names == sorted(names, key=str.encode)


@EACH
def test_the_prefix_as_home_gives_the_original_values(texts) -> None:
    real = {k: v for k, v in texts.values.items() if "/tools" not in str(v)}
    real = {k: v for k, v in real.items() if not re.search("/build|/var/|clang|llvm|-gnu-", str(v))}
    values = sysconfigdata.parse(sysconfigdata.rewrite(json_style(real), "/install"))
    assert values.pop("PYTHON_BUILD_STANDALONE") == 1
    assert values == {k: " ".join(v.split()) if isinstance(v, str) else v for k, v in real.items()}


def test_values_that_uv_cannot_read_are_said_otherwise() -> None:
    odd = {
        "A": "a\nb\tc\x01d",
        "B": 2**40,
        "C": None,
        "D": True,
        "E": -(2**31),
        "F": 1.5,
        "G": "q\"\\'ü",
        "H": "\udcff",
    }
    new = sysconfigdata.rewrite(f"{HEADER}build_time_vars = {odd!r}\n", "/x")
    assert UV_FORM.fullmatch(new)
    assert sysconfigdata.parse(new) == {
        "A": "a b c d",
        "B": str(2**40),
        "C": "",
        "D": 1,
        "E": -(2**31),
        "F": "1.5",
        "G": "q\"\\'ü",
        "H": "?",
        "PYTHON_BUILD_STANDALONE": 1,
    }


NAMES = st.text("ABCabc_019", min_size=1)
VALUES = st.integers() | st.text(st.characters(blacklist_categories=["Cs"])) | st.none()


@given(st.dictionaries(NAMES, VALUES), st.sampled_from(ODD_HOMES + PLAIN_HOMES))
def test_any_dict_becomes_uvs_grammar_and_stays(values, home: str) -> None:
    new = sysconfigdata.rewrite(f"{HEADER}build_time_vars = {values!r}\n", home)
    assert UV_FORM.fullmatch(new)
    assert "PYTHON_BUILD_STANDALONE" in sysconfigdata.parse(new)
    assert new == sysconfigdata.rewrite(f"{HEADER}build_time_vars = {values!r}\n", home)


def test_a_computed_module_stays_and_is_never_run() -> None:
    text = f"{HEADER}import sys\nbuild_time_vars = {{'prefix': sys.prefix, 'x': exit(3)}}\n"
    assert sysconfigdata.rewrite(text, "/x") == text
    assert sysconfigdata.rewrite("# nothing\n", "/x") == "# nothing\n"
    with pytest.raises(ArchiveError, match="sysconfigdata"):
        sysconfigdata.rewrite(text.replace("exit(3)", "'/install'"), "/x")


def test_uv_makes_the_same_of_what_it_mends_and_leaves_ours_alone(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    require(uv, "needs the command 'uv'")
    texts = next((texts for texts in TEXTS if texts.interpreter.minor == "3.13"), None)
    require(texts, "needs a CPython 3.13")
    name = "cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    module = "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py"
    archive = tmp_path / name
    with tarfile.open(archive, "w:gz") as tar:
        for path, text in {"bin/python3.13": "#!/bin/sh\n", module: texts.sysconfigdata}.items():
            member = tarfile.TarInfo(f"python/{path}")
            member.size, member.mode = len(text.encode()), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    entry = {"name": "cpython", "arch": {"family": "x86_64", "variant": None}, "os": "linux"}
    entry |= {"libc": "gnu", "major": 3, "minor": 13, "patch": 0, "prerelease": ""}
    entry |= {"url": archive.as_uri(), "variant": None, "build": "20241016"}
    entry["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
    (tmp_path / "list.json").write_text(json.dumps({"cpython-3.13.0-linux-x86_64-gnu": entry}))
    command = [uv, "python", "install", "3.13", "--offline", "--no-bin", "--no-config"]
    command += ["--python-downloads-json-url", (tmp_path / "list.json").as_uri()]
    places = {"UV_CACHE_DIR": "cache", "UV_PYTHON_INSTALL_DIR": "py", "UV_PYTHON_BIN_DIR": "bin"}
    environment = {key: str(tmp_path / value) for key, value in places.items()}
    environment = {**os.environ, **environment, "HOME": str(tmp_path)}
    subprocess.run(command, env=environment, check=True, capture_output=True)

    home = tmp_path / "py" / "cpython-3.13.0-linux-x86_64-gnu"
    theirs = sysconfigdata.parse((home / module).read_text())
    text = sysconfigdata.rewrite(texts.sysconfigdata, str(home))
    ours = sysconfigdata.parse(text)
    assert ours.keys() == theirs.keys()
    left = re.compile(r"/install\b|/tools|/build|/var/|clang|llvm|fdebug-default|-gnu-nm")
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert all(left.search(theirs[name]) for name in differing)
    assert {"prefix", "LIBDIR", "DESTDIRS", "CC", "CXX", "AR", "BLDSHARED", "LDCXXSHARED"} <= (
        {name for name in ours if ours[name] != texts.values.get(name)} - differing
    )

    (home / module).write_text(text)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (home / module).read_text() == text
