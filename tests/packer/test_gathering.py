"""Archives and packages together: real interpreters, real wheels, a server on loopback."""

from __future__ import annotations

import os
import threading
import time

import pytest

from kitbag_bundles.errors import ArchiveError, DigestMismatch, KitbagError, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.environments import arrivals
from kitbag_packer.environments.model import Pick
from kitbag_packer.errors import DownloadError, NoWheel, OfflineError
from kitbag_packer.gathering import gather_all, spoiled
from support.bundled import host_key
from support.downloading import CERTIFICATES, PROXIES, Notes
from support.packages import choice_of, made_for, pick_of, planned, supply_in
from support.projects import make_project, make_sdist
from support.synthetic import make_synthetic_archive
from support.together import make_wheels, measure
from support.webserver import serving
from support.wheels import make_wheel

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
WINDOWS = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    for name in (*PROXIES, *CERTIFICATES, "NETRC", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def supply(tmp_path):
    return supply_in(tmp_path / "cache")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return make_synthetic_archive("linux", tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return [make_wheel(folder, f"package-{number}", f"{number}.0") for number in range(12)]


def served(*files):
    return {f"/{file.name}": file.read_bytes() for file in files}


def gathered(choices, plans, supply, tmp_path, notes=None, **options):
    return gather_all(
        choices, plans, supply, notes or Notes(), scratch=tmp_path / "scratch", **options
    )


def failure(error, plans, supply, tmp_path, choices=()):
    notes = Notes()
    with pytest.raises(error) as caught:
        gathered(choices, plans, supply, tmp_path, notes)
    assert "\n" not in str(caught.value)
    return str(caught.value), notes.messages


def test_builds_and_packages_come_in_one_go(tmp_path, supply, archive, wheels):
    with serving(served(archive, *wheels)) as server:
        plan = planned(KEY, *(pick_of(each, server.url) for each in wheels))
        notes = Notes()
        materials, ready = gathered(
            [choice_of(archive, server.url)], [plan], supply, tmp_path, notes
        )
        assert server.count() == len(wheels) + 1
        base = server.url
    assert [each.inspection.key for each in materials] == [KEY]
    (found,) = ready
    assert found.planned is plan
    names = [file.wheel.filename for file in found.wheels]
    assert names == sorted(each.name for each in wheels)
    assert [file.path.read_bytes() for file in found.wheels] == [
        next(each for each in wheels if each.name == name).read_bytes() for name in names
    ]
    assert {file.wheel.url for file in found.wheels} == {base + each.name for each in wheels}
    # One watcher for all of it.
    assert notes.counts == [len(wheels) + 1]


def test_what_was_looked_through_is_remembered(tmp_path, supply, wheels, monkeypatch):
    plan = planned(KEY, *map(pick_of, wheels))
    first = gathered([], [plan], supply, tmp_path)
    monkeypatch.setattr(arrivals, "inspect_wheel", None)
    assert gathered([], [plan], supply, tmp_path) == first


def test_environments_share_wheels(tmp_path, supply, wheels):
    with serving(served(*wheels)) as server:
        picks = [pick_of(each, server.url) for each in wheels]
        plans = [
            planned(KEY, *picks),
            planned(WINDOWS, *picks),
            planned(KEY, *picks[:2], name="x"),
        ]
        _, ready = gathered([], plans, supply, tmp_path)
        assert server.count() == len(wheels)
    assert [len(each.wheels) for each in ready] == [len(wheels), len(wheels), 2]


def test_no_address_of_this_machine_and_no_secret_is_told(tmp_path, supply, wheels):
    with serving(served(*wheels)) as server:
        base = server.url.replace("//", "//user:secret@")
        away, local = pick_of(wheels[0], base), pick_of(wheels[1])
        urls = (away.urls[0] + "?token=secret",)
        away = Pick(**{**vars(away), "urls": urls, "direct": True})
        _, ready = gathered([], [planned(KEY, away, local)], supply, tmp_path)
        urls = [file.wheel.url for file in ready[0].wheels]
        assert urls == [server.url + wheels[0].name, ""]
        direct = [file.wheel.direct_url for file in ready[0].wheels]
        assert direct == [f'{{"url":"{server.url}{wheels[0].name}","archive_info":{{}}}}', ""]


def test_the_order_of_arrival_changes_nothing(tmp_path, archive, wheels, monkeypatch):
    arrived, original = [], arrivals.Packages.arrived

    def note(packages, download, entry):
        arrived[-1].append(download.filename)
        original(packages, download, entry)

    monkeypatch.setattr(arrivals.Packages, "arrived", note)
    files, results = [archive, *wheels], []
    with serving(served(*files)) as server:
        plans = [
            planned(key, *(pick_of(each, server.url) for each in wheels)) for key in (KEY, WINDOWS)
        ]
        for order in (files, files[::-1]):
            arrived.append([])
            for number, each in enumerate(order):
                server.behave(f"/{each.name}", delay=0.02 * number)
            settings = DownloadSettings(jobs=30, per_host=30)
            supply = supply_in(tmp_path / f"cache-{len(arrived)}", settings)
            materials, ready = gathered([choice_of(archive, server.url)], plans, supply, tmp_path)
            told = [
                [(file.wheel, file.crc32, file.paths) for file in each.wheels] for each in ready
            ]
            results.append((told, [each.inspection for each in materials]))
    assert arrived[0] != arrived[1]
    assert results[0] == results[1]


@pytest.mark.slow
def test_together_takes_as_long_as_the_slower_of_the_two(tmp_path, slim_archive):
    wheels = make_wheels(tmp_path / "wheels", 500_000)
    rate = slim_archive.stat().st_size / 4
    ratios = []
    for number in range(3):
        ratios.append(measure(tmp_path / str(number), slim_archive, wheels, rate).ratio)
        if ratios[-1] <= 1.15:
            break
    assert min(ratios) <= 1.15, ratios


class TestFailures:
    def test_a_file_that_vanished(self, tmp_path, supply, wheels):
        with serving(served(*wheels[1:])) as server:
            plan = planned(KEY, *(pick_of(each, server.url) for each in wheels))
            message, _ = failure(DownloadError, [plan], supply, tmp_path)
        assert message.startswith(f"{wheels[0].name} did not arrive: ")
        assert "answered 404 Not Found; check the link, or make the lock anew" in message
        # The others are kept.
        assert supply.cache.find(pick_of(wheels[5]).sha256)

    def test_other_bytes_than_the_lock_says(self, tmp_path, supply, wheels):
        with serving({f"/{wheels[0].name}": wheels[1].read_bytes()}) as server:
            plan = planned(KEY, pick_of(wheels[0], server.url, size=None))
            message, _ = failure(DigestMismatch, [plan], supply, tmp_path)
        assert wheels[0].name in message
        assert "make the lock anew" in message

    def test_several_are_told_together(self, tmp_path, supply, wheels, archive):
        evil = make_wheel(tmp_path, "evil", extra=[("../evil.py", b"")])
        with serving(served(*wheels[2:])) as server:
            picks = [pick_of(each, server.url) for each in wheels]
            plan = planned(KEY, *picks, pick_of(evil))
            choice = choice_of(archive, server.url)
            message, told = failure(KitbagError, [plan], supply, tmp_path, [choice])
        assert message.startswith("2 things could not be had, see above")
        assert sum("answered 404" in each for each in told) == 3
        assert sum("../evil.py" in each for each in told) == 1

    def test_a_build_that_fails_alone_is_told_alone(self, tmp_path, supply, wheels, archive):
        project = Pick("app", "", "directory", path=str(make_project(tmp_path / "p", "app")))
        with serving(served(*wheels)) as server:
            plan = planned(KEY, project, *(pick_of(each, server.url) for each in wheels))
            choice = choice_of(archive, server.url)
            message, _ = failure(DownloadError, [plan], supply, tmp_path, [choice])
        assert message.startswith(archive.name)

    def test_a_lock_that_calls_it_otherwise(self, tmp_path, supply, wheels):
        for fields in ({"name": "other"}, {"version": "7"}):
            plan = planned(KEY, pick_of(wheels[3], **fields))
            message, _ = failure(ArchiveError, [plan], supply, tmp_path)
            assert "its lock says that it is" in message

    def test_a_wheel_for_another_python(self, tmp_path, supply):
        new = make_wheel(tmp_path, "new", requires_python=">=3.14")
        message, _ = failure(NoWheel, [planned(KEY, pick_of(new))], supply, tmp_path)
        assert "environment app on linux-x86_64-gnu" in message
        assert ">=3.14, and this is 3.13.5" in message

    def test_conflicts_are_found(self, tmp_path, supply):
        files = [make_wheel(tmp_path, name, files={"x.py": name}) for name in ("one", "two")]
        plans = [planned(KEY, *map(pick_of, files)), planned(WINDOWS, *map(pick_of, files))]
        _, told = failure(UsageError, plans, supply, tmp_path)
        assert len(told) == 2

    def test_offline(self, tmp_path, wheels):
        supply = supply_in(tmp_path / "cache", DownloadSettings(offline=True))
        plan = planned(KEY, pick_of(wheels[0], "https://example.test/"), pick_of(wheels[1]))
        message, _ = failure(OfflineError, [plan], supply, tmp_path)
        assert wheels[0].name in message
        assert supply.cache.find(pick_of(wheels[1]).sha256)


class TestBuilding:
    def test_it_goes_on_while_others_are_fetched(self, tmp_path, slim_archive, wheels, monkeypatch):
        """The last wheel is not sent before the first one has been built."""
        built, late = threading.Event(), wheels[-1]
        original = arrivals.Building.make

        def make(*arguments):
            outcome = original(*arguments)
            built.set()
            return outcome

        monkeypatch.setattr(arrivals.Building, "make", make)
        sdist = make_sdist(tmp_path, "app", scripts={"app": "app:main"})
        patient = DownloadSettings(retries=10_000, first_pause=0.01, longest_pause=0.02)
        supply = supply_in(tmp_path / "cache", patient)
        with serving(served(slim_archive, sdist, *wheels)) as server:
            server.behave(f"/{late.name}", statuses=(503,) * 10_000)

            def open_up() -> None:
                assert built.wait(120)
                server.behave(f"/{late.name}", statuses=())

            opener = threading.Thread(target=open_up)
            opener.start()
            choice = choice_of(slim_archive, server.url)
            picks = [pick_of(each, server.url) for each in (sdist, *wheels)]
            plan = planned(choice.offer.key, *picks)
            _, (ready,) = gathered([choice], [plan], supply, tmp_path)
            opener.join()
        app = next(file for file in ready.wheels if file.wheel.name == "app")
        assert app.wheel.built
        assert app.wheel.url == ""
        assert len(ready.wheels) == len(wheels) + 1

    def test_builds_at_hand_build_too(self, tmp_path, supply, slim_archive):
        from kitbag_packer.materials import take

        material = take(
            str(slim_archive), tmp_path / "t", key=None, with_tests=False, reporter=SilentReporter()
        )
        sdist = make_sdist(tmp_path, "app")
        plan = planned(material.inspection.key, pick_of(sdist))
        _, (ready,) = gathered([], [plan], supply, tmp_path, at_hand=[material])
        assert [file.wheel.built for file in ready.wheels] == [True]

    def test_several_that_can_not_be_built_are_told_together(self, tmp_path, supply):
        place = made_for(host_key("3.99.0"))
        sdists = [make_sdist(tmp_path, f"bad{n}", fails=f"no compiler {n}") for n in range(3)]
        plan = planned(place, *map(pick_of, sdists))
        message, told = failure(NoWheel, [plan], supply, tmp_path)
        assert message.startswith("3 packages could not be had")
        assert sum("no compiler" in each for each in told) == 3


def test_a_wheel_that_rots_in_the_cache_is_noticed(tmp_path, supply, wheels):
    plan = planned(KEY, *map(pick_of, wheels))
    _, ready = gathered([], [plan], supply, tmp_path)
    assert not spoiled([], supply.cache, ready)
    path = ready[0].wheels[0].path
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert spoiled([], supply.cache, ready)
    assert gathered([], [plan], supply, tmp_path)[1] == ready


def test_an_interruption_ends_builds(tmp_path, supply, slim_archive, monkeypatch):
    """Ctrl-C while a backend works: it ends at once."""
    started = tmp_path / "started"
    project = make_project(tmp_path / "slow", "slow")
    with open(project / "backend.py", "a") as backend:
        backend.write(f"import time; open({str(started)!r}, 'w').close(); time.sleep(1000)\n")
    choice = choice_of(slim_archive)
    plan = planned(choice.offer.key, Pick("slow", "", "directory", path=str(project)))

    def finish(packages, failed):
        while not started.exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(arrivals.Packages, "finish", finish)
    with pytest.raises(KeyboardInterrupt):
        gathered([choice], [plan], supply, tmp_path)
    names = [each.name for each in threading.enumerate()]
    assert not [name for name in names if name.startswith(("build", "inspect", "download"))]


def test_what_was_built_is_not_built_again(tmp_path, supply, slim_archive, monkeypatch):
    sdist = make_sdist(tmp_path, "app", tags="py3-none-HOST")
    choice = choice_of(slim_archive)
    plan = planned(choice.offer.key, pick_of(sdist))
    first, again = (gathered([choice], [plan], supply, tmp_path)[1][0].wheels for _ in range(2))
    assert [file.wheel for file in first] == [file.wheel for file in again]
    assert again[0].wheel.built
    # What tells where it was built would tell of another folder.
    assert again[0].path == supply.cache.folder / "archives" / first[0].wheel.sha256
