import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from kitbag_bundles.errors import DoesNotFit, SmokeTestFailed
from kitbag_bundles.keys import BuildKey
from kitbag_installer import smoke
from kitbag_installer.smoke import smoke_test
from support.bundled import host_key
from support.elf import make_elf
from support.require import require
from support.tiny import interpreter_script


def tree(folder: Path, key: BuildKey, content: bytes | None = None, **options) -> str:
    name = f"python{key.version.minor_text}{key.abi_flags}"
    program = folder / "bin" / name
    program.parent.mkdir(parents=True)
    if content is None:
        content = interpreter_script(str(key.version), **options)
    program.write_bytes(content)
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("version", "variant"),
    [
        ("3.13.5", ""),
        ("3.14.0rc1", ""),
        ("3.13.5", "freethreaded"),
        ("3.13.5", "debug"),
        ("3.13.5", "freethreaded+debug"),
    ],
)
def test_an_interpreter_that_says_what_its_key_says(tmp_path, version, variant):
    key = host_key(version, variant)
    options = {"free_threaded": "free" in variant, "debug": "debug" in variant}
    smoke_test(key, tree(tmp_path, key, **options))


def test_a_real_interpreter(tmp_path, interpreter):
    """The question itself, asked of a real CPython in a tree that leads to it."""
    answer = subprocess.run(
        [interpreter.path, "-I", "-S", "-B", "-c", smoke._PROGRAM],
        capture_output=True,
        check=True,
    )
    key = host_key(interpreter.full_version, "debug" if interpreter.debug else "")
    found = json.loads(answer.stdout)
    if not interpreter.free_threaded:
        smoke._compare(key, str(interpreter.prefix), found)
    assert os.path.samefile(found["prefix"], interpreter.prefix)


@pytest.mark.parametrize("name", ["with space", "quotes\"'\\", "caf\xe9"])
def test_any_name_of_the_tree(tmp_path, name):
    key = host_key()
    smoke_test(key, tree(tmp_path / name, key))


def test_a_tree_below_a_link(tmp_path):
    key = host_key()
    tree(tmp_path / "real", key)
    (tmp_path / "link").symlink_to("real")
    smoke_test(key, str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("crash", r"does not run on this host \(signal 11\)"),
        ("silent", "answered b'' to the smoke test"),
        ("garbage", "answered b'not the expected line"),
        ("wrong-version", r"says version '3\.0\.0' and not '3\.13\.5'; .*wrong key"),
        ("wrong-prefix", "takes '/usr' for its prefix"),
    ],
)
def test_an_interpreter_that_misbehaves(tmp_path, answer, message):
    key = host_key()
    with pytest.raises(SmokeTestFailed, match=message) as caught:
        smoke_test(key, tree(tmp_path, key, answer=answer))
    assert str(caught.value).startswith(f"{key}: ")


def test_one_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(smoke, "TIMEOUT", 0.3)
    key = host_key()
    started = time.monotonic()
    with pytest.raises(SmokeTestFailed, match="did not answer within"):
        smoke_test(key, tree(tmp_path, key, answer="hang"))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(("says", "variant"), [("free", ""), ("plain", "freethreaded")])
def test_the_variant_is_checked(tmp_path, says, variant):
    key = host_key("3.13.5", variant)
    with pytest.raises(SmokeTestFailed, match="says free-threaded"):
        smoke_test(key, tree(tmp_path, key, free_threaded=says == "free"))


def test_the_last_line_of_the_trouble_is_told(tmp_path):
    key = host_key()
    script = b"#!/bin/sh\necho first >&2\necho 'libfoo.so.1: not found' >&2\nexit 127\n"
    with pytest.raises(SmokeTestFailed, match=r"\(status 127: libfoo\.so\.1: not found\)"):
        smoke_test(key, tree(tmp_path, key, script))


@pytest.mark.parametrize("answer", ["[]", "5", "null", '"text"', "{}"])
def test_json_that_is_no_answer(tmp_path, answer):
    key = host_key()
    with pytest.raises(SmokeTestFailed):
        smoke_test(key, tree(tmp_path, key, f"#!/bin/sh\necho '{answer}'\n".encode()))


def test_a_missing_loader_is_told_as_such(tmp_path):
    key = host_key()
    cpu = key.target.cpu
    require(cpu in ("x86_64", "aarch64"), "an x86_64 or aarch64 machine")
    program = make_elf(cpu, interpreter="/lib/ld-nowhere.so.1", needed=["libc.so.6"])
    with pytest.raises(SmokeTestFailed, match="loader for this build is missing"):
        smoke_test(key, tree(tmp_path, key, program))


def test_a_program_of_another_machine_is_told_as_such(tmp_path):
    key = host_key()
    other = "s390x" if key.target.cpu != "s390x" else "x86_64"
    with pytest.raises(DoesNotFit, match="for another kind of machine; choose a build for this"):
        smoke_test(key, tree(tmp_path, key, make_elf(other, needed=["libc.so.6"])))


def test_a_file_system_where_nothing_may_run(tmp_path):
    place = tmp_path / "root" / ".temp" / "tree"
    place.parent.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "noexec,size=1m", "kitbag-test", str(tmp_path / "root")],
        capture_output=True,
    )
    require(mounted.returncode == 0, "the right to mount a file system")
    try:
        key = host_key()
        with pytest.raises(DoesNotFit, match=r"root: programs may not run there.*noexec; choose"):
            smoke_test(key, tree(place, key))
    finally:
        subprocess.run(["umount", str(tmp_path / "root")], check=True)


def test_it_leaves_nothing_behind_and_ignores_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nothing")
    monkeypatch.setenv("PYTHONVERBOSE", "1")
    key = host_key()
    script = b'#!/bin/sh\n[ -z "$PYTHONHOME$PYTHONVERBOSE" ] || exit 9\n'
    rest = interpreter_script("3.13.5").partition(b"\n")[2]
    place = tree(tmp_path, key, script + rest)
    before = sorted(Path(place).rglob("*"))
    smoke_test(key, place)
    assert sorted(Path(place).rglob("*")) == before


def answering(folder: Path, path: str, **answer: object) -> str:
    """A tree whose interpreter at ``path`` says ``answer``."""
    said = {"free_threaded": False, "debug": False, "prefix": str(folder), **answer}
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(f"#!/bin/sh\ncat <<'end'\n{json.dumps(said)}\nend\n")
    (folder / path).chmod(0o755)
    return str(folder)


def test_a_pypy_says_that_it_is_one(tmp_path):
    key = BuildKey.parse("pypy-3.11.15-linux-x86_64-gnu")
    where = "bin/pypy3.11"
    smoke_test(key, answering(tmp_path, where, implementation="pypy", version="3.11.15"))
    with pytest.raises(SmokeTestFailed, match="says implementation 'cpython' and not 'pypy'"):
        smoke_test(key, answering(tmp_path, where, implementation="cpython", version="3.11.15"))


def test_the_patch_of_a_graalpy_may_be_made_up(tmp_path):
    key = BuildKey.parse("graalpy-3.12.0-linux-x86_64-gnu")
    where = "bin/graalpy"
    smoke_test(key, answering(tmp_path, where, implementation="graalpy", version="3.12.8"))
    with pytest.raises(SmokeTestFailed, match=r"says version '3\.11' and not '3\.12'"):
        smoke_test(key, answering(tmp_path, where, implementation="graalpy", version="3.11.8"))


def test_a_pyodide_calls_itself_cpython_and_its_prefix_is_the_top(tmp_path, monkeypatch):
    key = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(tools))
    place = answering(tmp_path, "python", implementation="cpython", version="3.0.0", prefix="/")
    smoke_test(key, place)  # without Node.js nobody can tell
    (tools / "node").write_text("#!/bin/sh\necho v20.1.0\n")
    (tools / "node").chmod(0o755)
    with pytest.raises(SmokeTestFailed, match="says version"):
        smoke_test(key, place)
    smoke_test(
        key, answering(tmp_path, "python", implementation="cpython", version="3.13.2", prefix="/")
    )


@pytest.mark.parametrize(("said", "expected"), [("free-threading build", True), ("", False)])
def test_free_threading_is_seen_where_there_are_no_abi_flags(said, expected, interpreter):
    """Windows has none before 3.14; ``sys.version`` tells it everywhere."""
    code = f"import sys; sys.version += {said!r}; vars(sys).pop('abiflags', 0)\n{smoke._PROGRAM}"
    done = subprocess.run([interpreter.path, "-I", "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout)["free_threaded"] is expected
