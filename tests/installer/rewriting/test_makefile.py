from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from kitbag_installer.rewriting import makefile, sysconfigdata
from kitbag_installer.rewriting.prefix import needs_quoting
from support.require import require_command

from .texts import ODD_HOMES, PLAIN_HOMES, all_texts

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = all_texts()
EACH = pytest.mark.parametrize("texts", TEXTS, ids=lambda texts: texts.interpreter.minor)

_PARSE = """
import json, sys
try:
    from sysconfig.__main__ import _parse_makefile
except ImportError:
    from sysconfig import _parse_makefile
print(json.dumps([_parse_makefile(name) for name in sys.argv[1:]]))
"""


def parsed(texts, *files: Path) -> list[dict[str, object]]:
    """What the interpreter's own sysconfig reads from the files."""
    done = subprocess.run(
        [texts.interpreter.path, "-I", "-X", "utf8", "-c", _PARSE, *files],
        env={},
        capture_output=True,
        check=True,
    )
    answer: list[dict[str, object]] = json.loads(done.stdout)
    return answer


def squeezed(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


@EACH
def test_sysconfigs_parser_reads_the_values_of_the_module(texts, tmp_path: Path) -> None:
    # The parser would take the $(x) of a home for a variable, once it has filled it in.
    homes = [PLAIN_HOMES[0], "/ca$h$/x", *(home for home in ODD_HOMES if "$(" not in home)]
    files = []
    for number, home in enumerate(homes):
        files.append(tmp_path / str(number))
        files[-1].write_text(makefile.rewrite(texts.one("/Makefile"), home), encoding="utf-8")
    pristine = tmp_path / "pristine"
    pristine.write_text(texts.one("/Makefile"), encoding="utf-8")
    original, *rewritten = parsed(texts, pristine, *files)
    for home, values in zip(homes, rewritten, strict=True):
        module = sysconfigdata.parse(sysconfigdata.rewrite(texts.sysconfigdata, home))
        same = [
            name
            for name, value in texts.values.items()
            if squeezed(original.get(name)) == squeezed(value) and "WASM" not in name
        ]
        assert len(same) > 150
        different = {
            name: (values.get(name), module[name])
            for name in same
            if squeezed(values.get(name)) != module[name]
        }
        # Lists of paths that a Makefile makes of $(prefix), where nobody can quote them.
        lists = {"DESTDIRS", "INCLDIRSTOMAKE"} if needs_quoting(home) else set()
        assert different.keys() <= lists
        assert values["LIBDIR"] == f"{home}/lib"
        assert values["prefix"] == home


@EACH
def test_lines_without_need_stay_byte_for_byte(texts) -> None:
    pristine = texts.one("/Makefile")
    old, new = pristine.split("\n"), makefile.rewrite(pristine, "/opt/x").split("\n")
    assert len(old) == len(new)
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert 15 < len(changed) < 60
    reasons = ("/install", "/tools", "/build", "clang", "llvm", "abs_", "-gnu-nm", "/var/")
    assert all(any(reason in line for reason in reasons) for line, _ in changed)
    assert any("install-sh /opt/x/recipe" in b for _, b in changed)


@EACH
def test_make_reads_it(texts, tmp_path: Path) -> None:
    make = require_command("make")
    names = ["prefix", "LIBDIR", "CC", "CXX", "AR", "LDSHARED", "CONFIGURE_LDFLAGS", "INCLUDEPY"]
    names += ["RUNSHARED", "BLDSHARED", "LLVM_PROF_FILE", "abs_srcdir"]
    show = "".join(f"$(info {name}=$({name}))\n" for name in names)
    show += "nothing:\n"
    for number, home in enumerate(("/opt/x", "/ca$h/$(x)", "/größe", '/it\'s/"x"&(y)')):
        path = tmp_path / f"{number}.mk"
        path.write_text(makefile.rewrite(texts.one("/Makefile"), home) + show, encoding="utf-8")
        done = subprocess.run(
            [make, "-rRn", "-f", path, "--no-print-directory", "nothing"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert not done.returncode, done.stderr
        seen = dict(line.split("=", 1) for line in done.stdout.split("\n")[: len(names)])
        module = sysconfigdata.parse(sysconfigdata.rewrite(texts.sysconfigdata, home))
        for name in names:
            if name not in ("LDSHARED", "BLDSHARED"):
                assert squeezed(seen[name]) == module[name]
        assert seen["LDSHARED"].startswith("cc -pthread")


def test_continued_definitions_keep_their_lines() -> None:
    text = (
        "A= x \\\n\t-I/tools/x -L/install/lib \\\n\t-lm\n"
        "all:\n\techo   /install   \\\n\t  /tools/y\n"
    )
    assert makefile.rewrite(text, "/h") == (
        "A= x \\\n\t-L/h/lib \\\n\t-lm\nall:\n\techo   /h   \\\n\t  /tools/y\n"
    )


def test_other_kinds_of_assignment_and_own_build_directories() -> None:
    text = (
        "abs_builddir=\t/home/me/py\nP?=/tools/host/bin/python3\nC:=$(abs_builddir)/x\n"
        "D=-I/home/me/py/Include -g\nRUNSHARED=  LD_LIBRARY_PATH=/home/me/py\n"
    )
    assert makefile.rewrite(text, "/h") == (
        "abs_builddir=\t\nP?=python3\nC:=\nD=-g\nRUNSHARED=  \n"
    )
