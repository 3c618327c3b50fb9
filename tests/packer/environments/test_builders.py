import sys

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.hosts import this_host
from kitbag_packer.environments.builders import Builders
from kitbag_packer.environments.model import For
from kitbag_packer.materials import take
from support.bundled import host_key
from support.packages import made_for

OLD, NEW = host_key("3.12.1"), host_key("3.13.5")
THREADED = host_key("3.13.5", "freethreaded")
FOREIGN = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")


def names(builders, key, count):
    return [each.key for each in builders.others(made_for(key))][:count]


def test_each_is_built_by_its_own(tmp_path):
    builders = Builders([OLD, NEW, FOREIGN], tmp_path)
    assert builders.own(made_for(OLD)).key == OLD
    assert builders.own(made_for(FOREIGN)) is None
    assert builders.own(made_for(THREADED)) is None


@pytest.mark.parametrize("keys", [(OLD, NEW, THREADED, FOREIGN), (FOREIGN, THREADED, NEW, OLD)])
def test_the_next_best_is_the_nearest_in_a_fixed_order(tmp_path, keys):
    builders = Builders(keys, tmp_path)
    assert names(builders, FOREIGN, 3) == [NEW, THREADED, OLD]
    assert names(builders, host_key("3.12.9"), 3) == [OLD, NEW, THREADED]
    machine, itself = builders.others(made_for(FOREIGN))[3:]
    assert machine.key is None
    assert itself.start() == sys.executable


def test_a_wheelhouse_has_this_machines(tmp_path):
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    builders = Builders([], tmp_path)
    own = builders.own(For("cpython", version, "", NEW.target))
    assert own.start()
    assert builders.own(For("cpython", version, "", FOREIGN.target)) is None
    assert builders.own(For("cpython", "3.99", "", NEW.target)).start() is None


def test_what_is_not_there_yet(tmp_path):
    builders = Builders([NEW], tmp_path)
    assert not builders.is_there(NEW)
    assert builders.is_there(None)
    builders.give_up()
    assert builders.is_there(NEW)


def test_it_is_unpacked_as_it_is_installed(tmp_path, slim_archive):
    import subprocess

    material = take(
        str(slim_archive), tmp_path / "t", key=None, with_tests=False, reporter=SilentReporter()
    )
    key = material.inspection.key
    builders = Builders([key], tmp_path / "builders")
    builders.arrived(material)
    builder = builders.own(made_for(key))
    program = builder.start()
    assert builder.start() == program
    told = subprocess.run(
        [program, "-I", "-c", "import sysconfig; print(sysconfig.get_config_vars())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "'/install" not in told
    assert str(tmp_path / "builders" / str(key)) in told


def test_what_needs_a_newer_system_builds_nothing(tmp_path, slim_archive, monkeypatch):
    material = take(
        str(slim_archive), tmp_path / "t", key=None, with_tests=False, reporter=SilentReporter()
    )
    builders = Builders([material.inspection.key], tmp_path / "builders")
    builders.arrived(material)
    monkeypatch.setattr(type(this_host()), "lacks", lambda host, build: "it needs glibc 9.9")
    assert builders.own(made_for(material.inspection.key)).start() is None
    assert not (tmp_path / "builders").exists()
