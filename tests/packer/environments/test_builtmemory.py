import dataclasses

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache import Cache
from kitbag_packer.cache.holdings import holdings
from kitbag_packer.environments import builtmemory
from kitbag_packer.environments.builtmemory import BuiltMemory
from kitbag_packer.environments.model import Pick
from kitbag_packer.environments.wheels import inspect_wheel
from support.packages import pick_of
from support.projects import make_sdist
from support.wheels import make_wheel

BUILDER = "cpython-3.13.5-linux-x86_64-gnu 00ff 1577836800"


@pytest.fixture
def cache(tmp_path):
    with Cache(tmp_path / "cache", SilentReporter()) as made:
        yield made


@pytest.fixture
def made(tmp_path):
    path = make_wheel(tmp_path / "built", "app", tags="cp313-cp313-linux_x86_64")
    return inspect_wheel(path, path.name)


@pytest.fixture
def sdist(tmp_path):
    return pick_of(make_sdist(tmp_path, "app"))


def test_it_comes_back_from_the_cache(cache, made, sdist):
    memory = BuiltMemory(cache)
    assert memory.recall(sdist, BUILDER) is None
    memory.remember(sdist, BUILDER, made)
    made.path.unlink()
    found = memory.recall(sdist, BUILDER)
    assert found == dataclasses.replace(made, path=cache.folder / "archives" / made.wheel.sha256)
    assert not holdings(cache.folder).unknown


def test_a_repository_is_known_by_its_commit(cache, made):
    memory = BuiltMemory(cache)
    one = Pick("app", "1", "vcs", vcs="git", repository="https://host/x", commit="a" * 40)
    memory.remember(one, BUILDER, made)
    assert memory.recall(one, BUILDER)
    assert memory.recall(dataclasses.replace(one, commit="b" * 40), BUILDER) is None
    assert memory.recall(dataclasses.replace(one, subdirectory="x"), BUILDER) is None


def test_what_could_come_out_otherwise_is_built_anew(cache, made, sdist, monkeypatch):
    memory = BuiltMemory(cache)
    memory.remember(sdist, BUILDER, made)
    assert memory.recall(sdist, BUILDER + "1") is None
    assert memory.recall(dataclasses.replace(sdist, sha256="0" * 64), BUILDER) is None
    with monkeypatch.context() as patch:
        patch.setattr(builtmemory, "this_host", lambda: "another")
        assert memory.recall(sdist, BUILDER) is None
    directory = Pick("app", "", "directory", path="/app")
    memory.remember(directory, BUILDER, made)
    assert memory.recall(directory, BUILDER) is None


def test_damage_is_as_good_as_nothing(cache, made, sdist):
    memory = BuiltMemory(cache)
    memory.remember(sdist, BUILDER, made)
    (note,) = (cache.folder / "inspections").iterdir()
    whole = note.read_bytes()
    for data in (b"", whole[:-1], whole.replace(b"app", b"ape")):
        note.write_bytes(data)
        assert memory.recall(sdist, BUILDER) is None
        assert not note.exists()
    note.write_bytes(whole)
    cache_file = cache.folder / "archives" / made.wheel.sha256
    cache_file.chmod(0o644)
    cache_file.write_bytes(b"rotten")
    assert memory.recall(sdist, BUILDER) is None
