from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from kitbag_installer.rewriting import scripts, shell_config, sysconfigdata
from support.require import require, require_command

from .texts import ODD_HOMES, all_texts

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = all_texts()
EACH = pytest.mark.parametrize("texts", TEXTS, ids=lambda texts: texts.interpreter.minor)
FOLDERS = ["plain", "größe", *(home[1:] for home in ODD_HOMES)]


def installed(texts, home: Path) -> Path:
    path = home / "bin" / f"python{texts.interpreter.minor}-config"
    path.parent.mkdir(parents=True)
    path.write_text(shell_config.rewrite(texts.one("-config")), encoding="utf-8")
    path.chmod(0o755)
    return path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {"PATH": "/usr/bin:/bin", "CDPATH": "/usr:."}
    done = subprocess.run(command, capture_output=True, env=environment, cwd=cwd)
    assert not done.stderr
    assert not done.returncode
    return done.stdout.decode().rstrip("\n")


@EACH
@pytest.mark.parametrize("shell", ["sh", "bash", "busybox sh"])
def test_it_finds_itself_in_every_folder(texts, shell: str, tmp_path: Path) -> None:
    first, *rest = shell.split()
    command = [require_command(first), *rest]
    minor = texts.interpreter.minor
    for folder in FOLDERS:
        home = (tmp_path / folder).resolve()
        script = installed(texts, home)
        assert "/install" not in script.read_text(encoding="utf-8")
        assert run(*command, script, "--prefix") == str(home)
        assert run(*command, script, "--exec-prefix") == str(home)
        includes = run(*command, script, "--includes")
        assert set(shlex.split(includes)) == {f"-I{home}/include/python{minor}"}
        words = shlex.split(run(*command, script, "--ldflags", "--embed"))
        assert {f"-L{home}/lib", f"-Wl,-rpath,{home}/lib", f"-lpython{minor}"} <= set(words)
        assert run(*command, script, "--configdir").startswith(f"{home}/lib/python{minor}/config-")
        assert (
            shlex.split(run(*command, script, "--cflags"))[0] == f"-I{home}/include/python{minor}"
        )
        if folder in ("plain", "größe"):
            assert includes == " ".join([f"-I{home}/include/python{minor}"] * 2)


@EACH
def test_it_answers_as_the_original_does(texts, tmp_path: Path) -> None:
    one = texts.interpreter
    original = one.path.with_name(f"python{one.minor}-config")
    script = installed(texts, tmp_path / "plain")
    for option in ("--libs", "--cflags", "--ldflags", "--extension-suffix", "--abiflags"):
        expected = run(original, option).replace(str(one.prefix), str(tmp_path / "plain"))
        assert run(script, option).split() == expected.split()
    for arguments in ([], ["--nonsense"], ["--help"]):
        theirs = subprocess.run([original, *arguments], capture_output=True)
        ours = subprocess.run([script, *arguments], capture_output=True)
        assert ours.returncode == theirs.returncode
        assert len(ours.stdout + ours.stderr) > 50


def test_links_and_relative_calls(tmp_path: Path) -> None:
    require(TEXTS, "needs a CPython 3.8 or newer with its generated files")
    texts = TEXTS[0]
    home = (tmp_path / "o p").resolve()
    script = installed(texts, home)
    bin_dir = tmp_path / "my bin"
    bin_dir.mkdir()
    (bin_dir / "config").symlink_to(script)
    (bin_dir / "twice").symlink_to("config")
    (script.parent / "python3-config").symlink_to(script.name)
    (tmp_path / "minor").symlink_to(home)
    for path in (bin_dir / "config", bin_dir / "twice", script.parent / "python3-config"):
        assert run(path, "--prefix") == str(home)
    assert run(tmp_path / "minor" / "bin" / "python3-config", "--prefix") == str(home)
    assert run("sh", script.name, "--prefix", cwd=script.parent) == str(home)
    assert run("sh", f"bin/{script.name}", "--prefix", cwd=home) == str(home)


def test_make_passes_the_quoted_flags_on(tmp_path: Path) -> None:
    require(TEXTS, "needs a CPython 3.8 or newer with its generated files")
    script = installed(TEXTS[0], tmp_path / "o p'q")
    (tmp_path / "Makefile").write_text(
        f"FLAGS := $(shell sh {shlex.quote(str(script))} --includes)\n"
        "all:\n\t@printf '%s\\n' $(FLAGS)\n"
    )
    lines = run(require_command("make"), "-s", cwd=tmp_path).split("\n")
    assert set(lines) == {f"-I{tmp_path}/o p'q/include/python{TEXTS[0].interpreter.minor}"}


@EACH
def test_the_python_variant(texts, tmp_path: Path) -> None:
    home = tmp_path / "o p"
    interpreter = home / "bin" / "python3"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(texts.interpreter.path)
    name = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]
    module = sysconfigdata.rewrite(texts.sysconfigdata, str(home))
    (home / f"{name}.py").write_text(module, encoding="utf-8")
    text = scripts.rewrite(texts.one("python-config.py"), str(interpreter), any_place=True)
    script = home / "python-config.py"
    script.write_text(shell_config.rewrite_python(text), encoding="utf-8")
    script.chmod(0o755)
    done = subprocess.run(
        [script, "--includes", "--ldflags"],
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert f"-L{home}/lib" in shlex.split(done.stdout)
    quoted = shell_config.rewrite_python(texts.one("python-config.py"))
    assert quoted.count("quoted(sysconfig.get_path(") == 2
    assert quoted.count("quoted(getvar('LIBPL'))") == 1
    compile(quoted, "python-config.py", "exec")


def test_other_scripts_stay() -> None:
    text = "#!/bin/sh\necho /install\n"
    assert shell_config.rewrite(text) == text
    assert shell_config.rewrite_python("import sys\nprint(1)\n") == "import sys\nprint(1)\n"


TCL = """# tclConfig.sh --
TCL_VERSION='9.0'
TCL_PREFIX='/tools/deps'
TCL_LIB_SPEC='-L/tools/deps/lib -ltcl9.0'
TCL_INCLUDE_SPEC='-I/tools/deps/include'
TCL_PACKAGE_PATH='/tools/deps/lib /usr/lib '
TCL_SRC_DIR='/tmp/tcl9.0.3'
TCL_BUILD_LIB_SPEC='-L/tmp/tcl9.0.3/unix -ltcl9.0'
TCL_LD_SEARCH_FLAGS='-Wl,-rpath,${LIB_RUNTIME_DIR}'
"""


@pytest.mark.parametrize("home", ["/opt/x", *ODD_HOMES])
def test_a_shell_reads_the_variables(home: str, tmp_path: Path) -> None:
    path = tmp_path / "tclConfig.sh"
    path.write_text(shell_config.rewrite_variables(TCL, home), encoding="utf-8")
    program = f'. {path}; for v in "$TCL_PREFIX" "$TCL_LIB_SPEC" "$TCL_INCLUDE_SPEC" "$TCL_SRC_DIR"'
    program += ' "$TCL_BUILD_LIB_SPEC" "$TCL_LD_SEARCH_FLAGS"; do printf \'%s\\n\' "$v"; done'
    prefix, libraries, include, source, build, search = run("sh", "-c", program).split("\n")
    assert prefix == home
    assert shlex.split(libraries) == [f"-L{home}/lib", "-ltcl9.0"]
    assert shlex.split(include) == [f"-I{home}/include"]
    assert (source, build) == ("", "-ltcl9.0")
    assert search == "-Wl,-rpath,${LIB_RUNTIME_DIR}"
