from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_packer.bytecode.magic import magic_of, witnesses

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Interpreter

WINDOWS = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
LINUX = BuildKey.parse("cpython-3.14.0+freethreaded-linux-x86_64-gnu")


def test_this_python_tells_its_own(interpreter: Interpreter) -> None:
    """The number is in the library up to 3.13, in a header from then on."""
    paths = [
        str(path.relative_to(interpreter.prefix))
        for path in (
            interpreter.stdlib / "importlib" / "_bootstrap_external.py",
            *interpreter.prefix.glob("include/python*/internal/pycore_magic_number.h"),
        )
    ]
    told = magic_of(interpreter.prefix, paths)
    assert told == int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")


def test_where_it_is_told() -> None:
    paths = [
        "Lib/importlib/_bootstrap_external.py",
        "Lib/site-packages/importlib/_bootstrap_external.py",
        "include/internal/pycore_magic_number.h",
        "lib/python3.14t/importlib/_bootstrap_external.py",
    ]
    assert witnesses(WINDOWS, paths) == [paths[0], paths[2]]
    assert witnesses(LINUX, paths) == [paths[2], paths[3]]
    pypy = BuildKey.parse("pypy-3.11.11-windows-x86_64-none")
    assert witnesses(pypy, paths) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("MAGIC_NUMBER = (3571).to_bytes(2, 'little') + b'\\r\\n'\n", 3571),
        ("x\nMAGIC_NUMBER = (3413).to_bytes(2, 'little') + b'\\r\\n'\r\n", 3413),
        ("#define PYC_MAGIC_NUMBER 3627\n", 3627),
        ("#     Python 3.13a6 3571 (…)\n#  MAGIC_NUMBER = (1).to_bytes(2, …)\n", None),
        ("MAGIC_NUMBER = _imp.pyc_magic_number_token.to_bytes(4, 'little')\n", None),
        ("", None),
    ],
)
def test_how_it_is_told(tmp_path: Path, text: str, number: int | None) -> None:
    (tmp_path / "told").write_text(text)
    assert magic_of(tmp_path, ["told"]) == number
