import json
import os
import subprocess
import sys

import pytest

from kitbag_installer.preflight import places
from kitbag_installer.preflight.places import allowed, place_of
from support.cli import environment
from support.faults import mounted, without_privileges
from support.require import require


def test_the_nearest_directory_that_is_there(tmp_path):
    place = place_of(str(tmp_path / "a" / "b"))
    assert (place.folder, place.obstacle) == (str(tmp_path), "")
    assert place_of(str(tmp_path)).folder == str(tmp_path)
    assert place_of("/").folder == "/"
    assert place_of(str(tmp_path / ("x" * 300) / "y")).folder == str(tmp_path)


@pytest.mark.parametrize("inside", ["", "below", "far/below"])
def test_what_is_in_the_way(tmp_path, inside):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        place = place_of(os.path.join(tmp_path, name, inside).rstrip("/"))
        assert (place.folder, place.obstacle) == (str(tmp_path), f"{tmp_path}/{name}")


def test_figures_of_the_system(tmp_path):
    place = place_of(str(tmp_path))
    status = os.statvfs(tmp_path)
    assert place.longest_name == status.f_namemax
    assert place.longest_path == 4095
    assert not place.read_only
    assert place.can_write
    found = subprocess.run(
        ["stat", "-f", "-c", "%S %d %T", str(tmp_path)], capture_output=True, text=True, check=True
    )
    unit, inodes, kind = found.stdout.split()
    assert place.unit == int(unit)
    assert abs((place.inodes or 0) - int(inodes)) < 10000
    assert place.kind[:3] == kind[:3]


_LOOK = """
import json, sys
from kitbag_installer.preflight.places import place_of
print(json.dumps(place_of(sys.argv[1])._asdict()))
"""


def look(mount, path):
    """What a process sees in the namespace of ``mount``."""
    env = environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    command = [*mount.before, sys.executable, "-c", _LOOK, path]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("size=64k,nr_inodes=25", {"free": 65536, "inodes": 24, "no_exec": False}),
        ("size=0,nr_inodes=0", {"free": None, "inodes": None}),
        ("noexec", {"no_exec": True, "read_only": False}),
        ("ro", {"read_only": True}),
    ],
)
def test_figures_of_a_mount(tmp_path, options, expected):
    with mounted(tmp_path / "disk", options) as mount:
        found = look(mount, str(tmp_path / "disk" / "root"))
    assert {name: found[name] for name in expected} == expected
    assert (found["kind"], found["folder"]) == ("tmpfs", str(tmp_path / "disk"))


def test_what_is_reserved_for_root_is_for_root_alone(tmp_path, monkeypatch):
    status = os.statvfs(tmp_path)
    require(status.f_bfree != status.f_bavail, "a file system with reserved blocks")
    for user, free in ((0, status.f_bfree), (1000, status.f_bavail)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        found = place_of(str(tmp_path)).free or 0
        assert abs(found - free * status.f_frsize) < 1 << 30


def test_permissions_are_the_kernels(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    code = f"import os; print(os.access({str(tmp_path / 'closed')!r}, os.W_OK))"
    command = [*without_privileges(), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert allowed(str(tmp_path), os.W_OK | os.X_OK)
    assert not allowed(str(tmp_path / "nothing"), os.W_OK)


MOUNTS = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:31 /home /home rw,relatime shared:2 - btrfs /dev/sdb rw
24 23 0:40 / /home/you/with\\040space rw - vfat /dev/sdc1 rw
25 22 8:1 / /again rw,relatime - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("folder", "device", "kind"),
    [
        ("/opt", os.makedev(8, 1), "ext4"),
        ("/home/you/x", os.makedev(0, 40), "vfat"),
        # A subvolume of btrfs has a number that no mount has.
        ("/home/you/x", os.makedev(0, 99), "btrfs"),
        ("/homely", os.makedev(0, 99), "ext4"),
    ],
)
def test_the_type_of_a_file_system(folder, device, kind, tmp_path, monkeypatch):
    (tmp_path / "mountinfo").write_bytes(MOUNTS)
    monkeypatch.setattr(places, "_MOUNTS", str(tmp_path / "mountinfo"))
    assert places._kind(folder, device) == kind
    monkeypatch.setattr(places, "_MOUNTS", str(tmp_path / "nothing"))
    assert places._kind(folder, device) == ""
