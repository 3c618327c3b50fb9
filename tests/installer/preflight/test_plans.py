import os
from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import NoMatch
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import this_host
from kitbag_installer.preflight.plans import Plan, plan_install
from kitbag_installer.roots import Root
from support import crafting
from support.bundled import bundle_archives, host_key, tiny_bundle
from support.install import install_tiny
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.tiny import make_tiny_archive

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
HOST = this_host()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("b") / "x.kitbag", "3.12.9", "3.13.4", "3.13.5")


def plan(path: Path, place: Path, *requests: str, host=HOST, reinstall=False, bin_dir="") -> Plan:
    with Bundle.open(path) as bundle:
        return plan_install(
            bundle,
            Root(str(place)),
            parse_requests(requests),
            host,
            reinstall=reinstall,
            bin_dir=bin_dir,
        )


def test_what_is_there_and_what_is_not(path, tmp_path):
    install_tiny(path, tmp_path / "root", "3.13.4")
    found = plan(path, tmp_path / "root")
    assert found.actions == ("install", "present", "install")
    again = plan(path, tmp_path / "root", reinstall=True)
    assert again.actions == ("install", "reinstall", "install")
    assert again.demand.least == sum(build.unpacked_size for build in again.builds)
    assert again.demand.least > found.demand.least > 0
    assert again.points == found.points == ()
    assert plan(path, tmp_path / "root", "3.13.4").demand.least_inodes == 0


def test_what_the_machine_lacks_and_what_the_place_lacks_are_told_together(tmp_path):
    needs = {"interpreter": "/lib/ld-never.so.1"}
    build = crafting.tiny_build(tmp_path, "3.13.5")
    lacking = replace(build.build, needs=replace(build.build.needs, **needs))
    path = crafting.write(tmp_path / "x.kitbag", build._replace(build=lacking))
    (tmp_path / "file").write_text("")
    found = plan(path, tmp_path / "file" / "root", bin_dir=str(tmp_path / "file" / "bin"))
    assert [point.code for point in found.points] == ["loader", "occupied", "bin-dir"]
    other = plan(path, tmp_path / "file" / "root", host=replace(HOST, arch="s390x"))
    assert [point.code for point in other.points] == ["target", "occupied"]
    assert other.builds == ()
    assert not os.path.exists(tmp_path / "root")


def test_every_request_that_this_machine_can_not_meet(tmp_path):
    """A wrong C library, and a CPU and a system whose versions may be told wrongly."""
    host = replace(HOST, cpu_level=0, os_version="5.4")
    builds = [
        crafting.tiny_build(tmp_path / "a", "3.13.5"),
        crafting.tiny_build(tmp_path / "b", "3.12.9"),
        crafting.tiny_build(tmp_path / "c", "3.11.2"),
    ]
    changed = [
        replace(builds[0].build, needs=replace(builds[0].build.needs, os="6.1")),
        replace(builds[1].build, needs=replace(builds[1].build.needs, glibc="9.99")),
        builds[2].build,
    ]
    path = crafting.write(
        tmp_path / "x.kitbag",
        *(packed._replace(build=build) for packed, build in zip(builds, changed, strict=True)),
    )
    found = plan(path, tmp_path / "root", "3.13", "3.12", "3.12.9", "3.11", host=host)
    assert [(point.code, point.advice) for point in found.points] == [
        ("target", False),
        ("os-version", True),
    ]
    assert "needs glibc 9.99" in found.points[0].message
    assert found.points[1].message == (
        f"{host_key('3.13.5')}: it needs {HOST.os} 6.1, this is 5.4; choose another build"
    )
    with pytest.raises(NoMatch):
        plan(path, tmp_path / "root", "3.9", host=host)


def test_what_runs_in_node_needs_node(tmp_path, monkeypatch):
    """Left out without a request where there is something else; by name it is a point."""
    key = BuildKey.parse(SYNTHETIC["pyodide"].key)
    archives = [
        (make_synthetic_archive("pyodide", tmp_path), key),
        (make_tiny_archive(tmp_path), host_key("3.13.5")),
    ]
    path = bundle_archives(tmp_path / "x.kitbag", archives)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    found = plan(path, tmp_path / "root")
    assert [build.key for build in found.builds] == [host_key("3.13.5")]
    assert found.points == ()
    found = plan(path, tmp_path / "root", "pyodide")
    (point,) = found.points
    assert (point.code, point.advice) == ("node", True)
    assert point.message == (
        f"{key}: it runs in Node.js 18 or newer, and there is no node on PATH; install it, or "
        "choose another build"
    )
