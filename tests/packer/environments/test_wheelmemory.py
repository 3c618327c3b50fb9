import dataclasses
import os

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache import Cache
from kitbag_packer.cache.holdings import holdings
from kitbag_packer.cache.pruning import clean
from kitbag_packer.environments import wheelmemory
from kitbag_packer.environments.wheelmemory import WheelMemory
from kitbag_packer.environments.wheels import inspect_wheel
from support.wheels import make_wheel


@pytest.fixture
def found(tmp_path):
    path = make_wheel(
        tmp_path,
        "app",
        files={"ü.py": "", "b.py": "1"},
        scripts={"app": "b:main"},
        requires_python=">=3.9",
    )
    return inspect_wheel(path, path.name)


def recalled(memory, found):
    return memory.recall(found.path, found.wheel.filename, found.wheel.sha256)


def test_it_comes_back_as_it_was(tmp_path, found):
    memory = WheelMemory(tmp_path / "cache")
    assert recalled(memory, found) is None
    memory.remember(found)
    assert recalled(memory, found) == found


def test_what_belongs_to_one_lock_is_not_kept(tmp_path, found):
    memory = WheelMemory(tmp_path / "cache")
    wheel = dataclasses.replace(found.wheel, url="https://example.org/app.whl", built=True)
    memory.remember(dataclasses.replace(found, wheel=wheel))
    assert recalled(memory, found) == found


def test_another_name_another_inspector_and_damage_are_not_remembered(tmp_path, found, monkeypatch):
    memory = WheelMemory(tmp_path / "cache")
    memory.remember(found)
    assert memory.recall(found.path, "app-1.0-py2-none-any.whl", found.wheel.sha256) is None
    assert memory.recall(found.path, found.wheel.filename, "nonsense") is None
    with monkeypatch.context() as patch:
        patch.setattr(wheelmemory, "INSPECTOR", 0)
        assert recalled(memory, found) is None
    (place,) = (tmp_path / "cache" / "inspections").iterdir()
    place.write_bytes(place.read_bytes().replace(b"b.py", b"c.py"))
    assert recalled(memory, found) is None
    assert not place.exists()


def test_what_others_could_have_written_does_not_count(tmp_path, found):
    memory = WheelMemory(tmp_path / "cache")
    memory.remember(found)
    (place,) = (tmp_path / "cache" / "inspections").iterdir()
    os.chmod(place, 0o666)
    assert recalled(memory, found) is None


def test_the_cache_knows_it_as_an_inspection(tmp_path, found):
    WheelMemory(tmp_path / "cache").remember(found)
    held = holdings(tmp_path / "cache")
    assert [each.sha256 for each in held.inspections] == [found.wheel.sha256]
    assert not held.unknown
    clean(Cache(tmp_path / "cache", SilentReporter()))
    assert not holdings(tmp_path / "cache").inspections
