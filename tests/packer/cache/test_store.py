"""One cache for several threads, processes, users and file systems."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kitbag_bundles.errors import DigestMismatch, FileSystemError, UsageError
from kitbag_packer.cache import Cache
from support.caches import Messages, cache_output, cache_process, digest, keep, public_folder
from support.faults import mounted
from support.require import require

DATA = bytes(range(250)) * 1200
SHA256 = digest(DATA)
OTHER_USER = 1000


@pytest.fixture
def said() -> Messages:
    return Messages()


@pytest.fixture
def cache(tmp_path, said) -> Cache:
    return Cache(tmp_path / "cache", said)


def test_nothing_is_made_before_it_is_needed(cache):
    assert cache.find(SHA256) is None
    assert not cache.folder.exists()


def test_what_was_kept_is_found_by_others(cache, said):
    entry = keep(cache, DATA, "a+b.tar.gz")
    assert entry.path.read_bytes() == DATA
    assert (entry.sha256, entry.size, entry.filename) == (SHA256, len(DATA), "a+b.tar.gz")
    assert Cache(cache.folder, said).find(SHA256) == entry
    assert Cache(cache.folder, said).check(SHA256) == entry
    assert os.listdir(cache.folder / "partial") == []
    assert said.warnings == []


def test_the_second_of_the_same_changes_nothing(cache):
    before = keep(cache, DATA).path.stat()
    assert keep(cache, DATA, "other.tar.gz").filename == "python.tar.gz"
    assert cache.folder.joinpath("archives", SHA256).stat() == before


def test_what_has_arrived_is_there_for_the_next_one(cache):
    with cache.partial(SHA256, "x") as place:
        place.data.write_bytes(DATA[:1000])
        place.state.write_text("{}")
    with pytest.raises(RuntimeError), cache.partial(SHA256, "x"):
        raise RuntimeError
    with cache.partial(SHA256, "x") as place:
        assert place.data.read_bytes() == DATA[:1000]
        assert place.state.read_text() == "{}"
        place.data.write_bytes(b"")
    assert not place.data.parent.exists()


@pytest.mark.parametrize("identity", ["", "..", "../../x", "a" * 63, "url-", "url-../x"])
def test_an_identity_is_no_path(cache, identity):
    with pytest.raises(ValueError, match="identity"), cache.partial(identity, "x"):
        pass


def test_links_in_a_place_are_not_written_through(cache, tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    place = cache.folder / "partial" / SHA256
    place.mkdir(parents=True)
    (place / "data").symlink_to(target)
    os.link(target, place / "state.json")
    with cache.partial(SHA256, "x") as found:
        found.data.write_bytes(b"theirs")
        found.state.write_text("theirs")
    assert target.read_text() == "mine"


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_is_no_cache(tmp_path, said, below):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--cache-dir"):
        Cache(tmp_path / "file" / below, said)


def test_a_file_in_the_way_is_named(cache, said):
    cache.folder.mkdir()
    (cache.folder / "archives").touch()
    with pytest.raises(FileSystemError, match="archives"), cache.partial(SHA256, "x"):
        pass


def test_a_copy_is_checked_and_its_source_stays(cache, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(DATA)
    entry = cache.add(source, sha256=SHA256, filename="a", url="")
    assert entry.path.read_bytes() == source.read_bytes() == DATA
    source.write_bytes(DATA + b"x")
    other = digest(b"other")
    with pytest.raises(DigestMismatch, match="source"):
        cache.add(source, sha256=other, filename="a", url="")
    assert sorted(os.listdir(cache.folder / "archives")) == [SHA256, f"{SHA256}.json"]


SAME = """
data = b"kitbag" * 500_000
for _ in range(5):
    keep(cache, data)
    assert cache.find(digest(data)) is not None
print(*said.warnings)
"""


def test_several_processes_keep_the_same(tmp_path):
    running = [cache_process(SAME, tmp_path / "cache") for _ in range(4)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, "", "")
    archives = os.listdir(tmp_path / "cache" / "archives")
    assert sorted(archives) == [archives[0][:64], f"{archives[0][:64]}.json"]
    assert os.listdir(tmp_path / "cache" / "partial") == []


def test_several_threads_keep_the_same(cache, said):
    threads = [threading.Thread(target=keep, args=(cache, DATA)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert cache.check(SHA256) is not None
    assert not said.warnings


OWNER = """
with cache.partial("00" * 32, "cpython-3.13.5") as place:
    place.data.write_bytes(b"half")
    place.state.write_text("{}")
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_owner_keeps_nobody_out(tmp_path, said):
    owner = cache_process(OWNER, tmp_path / "cache")
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    got = threading.Event()
    waits = threading.Event()

    class Telling(Messages):
        def info(self, message: str) -> None:
            waits.set()

    def wait() -> None:
        with Cache(tmp_path / "cache", Telling()).partial("00" * 32, "x") as place:
            assert place.data.read_bytes() == b"half"
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(20)
    assert not got.is_set()
    owner.send_signal(signal.SIGKILL)
    owner.communicate(timeout=20)
    thread.join(20)
    assert got.is_set()


STEPS = """
import os
count = int(sys.argv[2])
def dying(event, arguments):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.utime", "os.rmdir"):
        count -= 1
        if not count:
            os.kill(os.getpid(), 9)
sys.addaudithook(dying)
keep(cache, b"kitbag" * 5000)
"""


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_nothing_or_a_good_entry(tmp_path):
    data = b"kitbag" * 5000
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    prelude = (
        "import sys; from pathlib import Path; from kitbag_packer.cache import Cache;"
        "from kitbag_bundles.reporting import SilentReporter; from support.caches import keep;"
        "import json, tempfile; cache = Cache(Path(sys.argv[1]), SilentReporter())"
    )
    for step in range(1, 60):
        folder = tmp_path / str(step)
        command = [sys.executable, "-B", "-c", prelude + STEPS, str(folder), str(step)]
        status = subprocess.run(command, env=environment, timeout=30, check=False).returncode
        said = Messages()
        cache = Cache(folder, said)
        found = cache.find(digest(data))
        assert found is None or found.path.read_bytes() == data
        assert keep(cache, data).path.read_bytes() == data
        assert not said.warnings
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert step > 8, "the kills have missed it"


WAYS = """
for data in (b"there" * 9000, b"new" * 9000):
    found = cache.find(digest(data)) or keep(cache, data)
    assert found.path.read_bytes() == data
    print(found.path.parent.parent == cache.folder, found.filename)
place = found.path
cache.close()
print(len(said.warnings), cache.folder in map(Path, [each.split(":")[0] for each in said.warnings]))
print(place.exists())
"""
THERE = b"there" * 9000


def test_another_user_takes_what_is_there_and_keeps_the_rest_for_itself():
    with public_folder() as folder:
        keep(Cache(folder, Messages()), THERE)
        assert cache_output(WAYS, folder, user=OTHER_USER) == [
            "True python.tar.gz",
            "False python.tar.gz",
            "1 True",
            "False",
        ]
        assert len(os.listdir(folder / "archives")) == 2


def test_root_uses_the_cache_of_a_user(said):
    with public_folder() as folder:
        os.chown(folder, OTHER_USER, OTHER_USER)
        cache_output("keep(cache, b'there' * 9000)", folder, user=OTHER_USER)
        assert Cache(folder, said).find(digest(THERE)) is not None
        keep(Cache(folder, said), DATA)
        assert cache_output(f"print(cache.find({SHA256!r}) is not None)", folder, user=1000) == [
            "True"
        ]
        assert not said.warnings


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_shared_mount_serves_users_in_both_directions(said, umask):
    with public_folder(0o777) as folder:
        script = "print(keep(cache, sys.argv[1].encode()).path.is_relative_to(cache.folder))"
        assert cache_output(script, folder, user=1001, umask=umask) == ["True"]
        data = str(folder).encode()
        look = f"print(cache.find({digest(data)!r}) is not None, len(said.warnings))"
        assert cache_output(look, folder, user=OTHER_USER, umask=umask) == ["True 0"]
        kept = "print(keep(cache, b'x').path.is_relative_to(cache.folder))"
        assert cache_output(kept, folder, user=OTHER_USER, umask=umask) == ["True"]
        half = "\nwith cache.partial('00' * 32, 'x') as place: place.data.write_bytes(b'half')"
        cache_output(half, folder, user=1001, umask=umask)
        on = (
            "\nwith cache.partial('00' * 32, 'x') as place:"
            "\n    with place.data.open('ab') as file: file.write(b'whole')"
            "\n    print(place.data.read_bytes(), len(said.warnings))"
        )
        assert cache_output(on, folder, user=OTHER_USER, umask=umask) == ["b'halfwhole' 0"]


BORROW = """
said.info = lambda message: print("waits", flush=True)
with cache.partial("00" * 32, "cpython-3.13.5") as place:
    print(place.data.read_bytes(), place.state.exists(), place.data.is_relative_to(cache.folder))
"""


def test_who_may_not_write_waits_and_goes_on_from_what_another_user_has():
    with public_folder() as folder:
        owner = cache_process(OWNER, folder)
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        other = cache_process(BORROW, folder, user=OTHER_USER)
        assert other.stdout is not None
        assert other.stdout.readline() == "waits\n"
        owner.communicate("\n", timeout=20)
        assert other.communicate(timeout=20) == ("b'half' True False\n", "")


def test_a_read_only_mount_gives_what_it_has(tmp_path):
    with mounted(tmp_path / "mount", "size=20m") as mount:
        keep(Cache(mount.view / "cache", Messages()), THERE)
        remount = [*mount.before, "mount", "-o", "remount,ro", str(mount.path)]
        require(subprocess.run(remount, check=False).returncode == 0, "may not remount a tmpfs")
        assert cache_output(WAYS, mount.view / "cache") == [
            "True python.tar.gz",
            "False python.tar.gz",
            "1 True",
            "False",
        ]


def test_a_full_mount_gives_what_it_has(tmp_path):
    with mounted(tmp_path / "mount", "size=1m") as mount:
        folder = mount.view / "cache"
        keep(Cache(folder, Messages()), THERE)
        with contextlib.suppress(OSError), open(mount.view / "rest", "wb", buffering=0) as rest:
            while rest.write(bytes(4096)):
                pass
        assert cache_output(WAYS, folder) == [
            "True python.tar.gz",
            "False python.tar.gz",
            "1 True",
            "False",
        ]


def test_the_cache_may_be_on_another_file_system_than_everything_else(tmp_path, said):
    with mounted(tmp_path / "mount", "size=20m") as mount:
        require(
            os.stat(mount.view).st_dev != os.stat(tmp_path).st_dev, "needs a second file system"
        )
        cache = Cache(mount.view / "cache", said)
        assert keep(cache, DATA).path.read_bytes() == DATA
        outside = tmp_path / "outside"
        outside.write_bytes(THERE)
        kept = cache.keep(outside, sha256=digest(THERE), filename="b", url="")
        assert kept.path.read_bytes() == THERE
        assert not outside.exists()
        assert cache.find(digest(THERE)) == kept
        assert not said.warnings


def test_what_could_not_be_kept_goes_with_the_process(tmp_path):
    with public_folder() as folder:
        script = "print(keep(cache, b'x').path, flush=True)"
        (path,) = cache_output(script, folder, user=OTHER_USER)
        assert not Path(path).parent.parent.exists()
