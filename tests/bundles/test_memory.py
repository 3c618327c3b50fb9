from __future__ import annotations

import importlib
import inspect
import linecache
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.memory import MemoryImporter, install

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "/nowhere/tools.kitbag/kitbag.pyz"
FILES = {
    "__main__.py": b"",
    "pouch/__init__.py": b'"""A package."""\nfrom pouch import inner\n',
    "pouch/inner.py": b'NAME = "caf\xc3\xa9"\ndef fail():\n    raise ValueError(NAME)\n',
    "pouch/broken.py": b"def",
    "pouch/LICENSE": b"free",
}


@pytest.fixture
def importer(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryImporter]:
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    install(FILES, PLACE)
    (made,) = (each for each in sys.meta_path if isinstance(each, MemoryImporter))
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == "pouch"]:
        del sys.modules[name]
    linecache.clearcache()


def test_modules_know_where_they_seem_to_be(importer: MemoryImporter) -> None:
    pouch = importlib.import_module("pouch")
    assert pouch.__file__ == f"{PLACE}/pouch/__init__.py"
    assert pouch.__path__ == [f"{PLACE}/pouch"]
    assert pouch.__doc__ == "A package."
    assert pouch.inner.NAME == "caf\u00e9"
    assert pouch.inner.__package__ == "pouch"
    assert importer.is_package("pouch")
    assert not importer.is_package("pouch.inner")


def test_tracebacks_and_inspect_show_the_source(importer: MemoryImporter) -> None:
    inner = importlib.import_module("pouch.inner")
    with pytest.raises(ValueError, match="caf\u00e9") as caught:
        inner.fail()
    shown = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert f'File "{PLACE}/pouch/inner.py", line 3, in fail' in shown
    assert "raise ValueError(NAME)" in shown
    assert inspect.getsource(inner.fail).startswith("def fail():")


def test_data_by_path(importer: MemoryImporter) -> None:
    assert importer.get_data(f"{PLACE}/pouch/LICENSE") == b"free"
    assert importer.get_data(f"{PLACE}\\pouch\\LICENSE") == b"free"
    for path in (f"{PLACE}/pouch/other", "/etc/passwd", "pouch/LICENSE"):
        with pytest.raises(FileNotFoundError):
            importer.get_data(path)


def test_what_is_not_there_is_left_to_others(importer: MemoryImporter) -> None:
    assert importer.find_spec("json") is None
    assert importer.find_spec("pouch.LICENSE") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pouch.missing")
    with pytest.raises(ImportError, match=r"kitbag\.pyz has no module json"):
        importer.get_source("json")


def test_a_syntax_error_says_where(importer: MemoryImporter) -> None:
    with pytest.raises(SyntaxError) as caught:
        importlib.import_module("pouch.broken")
    assert caught.value.filename == f"{PLACE}/pouch/broken.py"
