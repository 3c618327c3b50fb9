"""One form into another: the bundle stays the same, and nothing half is ever left."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import subprocess
import sys

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import BundleError, FileSystemError, KitbagError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.converting import DIRECTORY, KITBAG, SEVENZIP, Target, convert, is_encrypted
from support.bundled import host_key, tiny_bundle, tree_of
from support.require import require, require_command
from support.tiny import make_tiny_archive


def no_password(path):
    raise AssertionError(f"asked for a password for {path}")


def convert_to(source, path, form, *, encrypt=False, password=None, plain=False):
    ask = no_password if password is None else lambda _: password
    return convert(source, Target(str(path), form, encrypt, plain), ask, SilentReporter())


def seven_zip(*arguments):
    program = require_command("7z")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """As ``pack`` makes it, with its header."""
    from pathlib import Path

    from kitbag_packer.packing import PackOptions, pack

    folder = tmp_path_factory.mktemp("b")
    archive = make_tiny_archive(folder, "3.13.5")
    options = PackOptions(key=host_key(), name="tools")
    pack([str(archive)], Path(folder / "tools.kitbag"), options, SilentReporter())
    return folder / "tools.kitbag"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_from_any_form_to_any_other(bundle, tmp_path):
    convert_to(bundle, tmp_path / "kitbag", KITBAG)
    convert_to(bundle, tmp_path / "7z", SEVENZIP)
    convert_to(bundle, tmp_path / "dir", DIRECTORY)
    for one, other in itertools.product((KITBAG, SEVENZIP, DIRECTORY), repeat=2):
        done = convert_to(tmp_path / one, tmp_path / f"{one}-{other}", other)
        assert (done.form, done.sha256) == (other, "" if other == DIRECTORY else digest(bundle))
    for one in (KITBAG, SEVENZIP, DIRECTORY):
        assert (tmp_path / f"{one}-kitbag").read_bytes() == bundle.read_bytes()
        assert (tmp_path / f"{one}-7z").read_bytes() == (tmp_path / "7z").read_bytes()
        assert tree_of(tmp_path / f"{one}-dir") == tree_of(tmp_path / "dir")
    with Bundle.open(bundle) as opened:
        assert opened.header_size


def test_without_a_header_where_one_is_made_anew(bundle, tmp_path):
    convert_to(bundle, tmp_path / "dir", DIRECTORY)
    convert_to(tmp_path / "dir", tmp_path / "plain", KITBAG, plain=True)
    with Bundle.open(tmp_path / "plain") as opened:
        assert opened.header_size == 0


def test_there_and_back_through_encryption(bundle, tmp_path):
    """With blanks and letters outside of ASCII; and the members' names can't be seen."""
    password = "ge heim 東 'x"
    done = convert_to(bundle, tmp_path / "t.7z", SEVENZIP, encrypt=True, password=password)
    assert done.sha256 == digest(bundle)
    assert is_encrypted(tmp_path / "t.7z")
    assert "tools".encode("utf-16-le") not in (tmp_path / "t.7z").read_bytes()
    assert seven_zip("l", "-pwrong", tmp_path / "t.7z").returncode != 0
    assert seven_zip("t", f"-p{password}", tmp_path / "t.7z").returncode == 0
    for form in (KITBAG, SEVENZIP):
        done = convert_to(tmp_path / "t.7z", tmp_path / form, form, password=password)
        assert done.sha256 == digest(bundle)
    assert (tmp_path / KITBAG).read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize(
    "options",
    [("-mx=1",), ("-m0=BZip2",), ("-mx=0", "-ps3cret"), ("-mx=0", "-ps3cret", "-mhe=on"),
     ("-mx=5", "-ps3cret", "-mhe=on")],
)  # fmt: skip
def test_what_7zip_made(bundle, tmp_path, options):
    done = seven_zip("a", *options, tmp_path / "t.7z", bundle)
    assert done.returncode == 0, done.stdout
    password = "s3cret" if "-ps3cret" in options else None
    convert_to(tmp_path / "t.7z", tmp_path / "out", KITBAG, password=password)
    assert (tmp_path / "out").read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize("hidden", ["-mhe=on", "-mhe=off"])
def test_a_wrong_password_is_said(bundle, tmp_path, hidden):
    seven_zip("a", "-mx=0", "-ps3cret", hidden, tmp_path / "t.7z", bundle)
    with pytest.raises(UsageError, match=r"password for .* is wrong"):
        convert_to(tmp_path / "t.7z", tmp_path / "out", KITBAG, password="other")
    assert os.listdir(tmp_path) == ["t.7z"]


def test_names_inside_are_never_used(bundle, tmp_path):
    import py7zr

    for name in ("../../evil", "/etc/evil", "con", "a\nb"):
        path = tmp_path / "t.7z"
        with py7zr.SevenZipFile(path, "w") as archive, bundle.open("rb") as stream:
            archive.writef(stream, "x")
            archive.files[0]._file_info["filename"] = name
        with contextlib.suppress(KitbagError):
            convert_to(path, tmp_path / "out", KITBAG)
            assert (tmp_path / "out").read_bytes() == bundle.read_bytes()
            (tmp_path / "out").unlink()
        assert os.listdir(tmp_path) == ["t.7z"]
        path.unlink()
    assert not (tmp_path.parent.parent / "evil").exists()


def test_damage_is_said_and_leaves_nothing(bundle, tmp_path):
    sealed, stored, bad = tmp_path / "s.7z", tmp_path / "t.7z", tmp_path / "bad"
    convert_to(bundle, sealed, SEVENZIP, encrypt=True, password="p")
    convert_to(bundle, stored, SEVENZIP)
    before = sorted(os.listdir(tmp_path))
    for path, password in ((sealed, "p"), (stored, None), (bundle, None)):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        bad.write_bytes(data)
        with pytest.raises(BundleError, match="bad"):
            convert_to(bad, tmp_path / "out", KITBAG, password=password)
        bad.write_bytes(data[: len(data) // 2])
        with pytest.raises(BundleError, match="bad"):
            convert_to(bad, tmp_path / "out", KITBAG, password=password)
        bad.unlink()
        assert sorted(os.listdir(tmp_path)) == before
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bad.write_bytes(data)
    with pytest.raises(BundleError):
        convert_to(bad, tmp_path / "out", SEVENZIP, encrypt=True, password="p")


def test_a_sealed_file_that_holds_something_else(tmp_path):
    (tmp_path / "letter").write_text("dear" * 1000)
    for options, kind in ((("-mx=5",), BundleError), (("-pp",), UsageError)):
        seven_zip("a", *options, tmp_path / "t.7z", tmp_path / "letter")
        with pytest.raises(kind):
            convert_to(tmp_path / "t.7z", tmp_path / "out", KITBAG, password="p")
        (tmp_path / "t.7z").unlink()
    (tmp_path / "more").write_text("x")
    seven_zip("a", "-mhe=on", "-pp", tmp_path / "t.7z", tmp_path / "letter", tmp_path / "more")
    with pytest.raises(BundleError, match="something else than one bundle"):
        convert_to(tmp_path / "t.7z", tmp_path / "out", KITBAG, password="p")


def test_what_takes_two_steps_or_makes_no_sense(bundle, tmp_path):
    convert_to(bundle, tmp_path / "s.7z", SEVENZIP, encrypt=True, password="p")
    convert_to(bundle, tmp_path / "dir", DIRECTORY)
    with pytest.raises(UsageError, match="plain file first"):
        convert_to(tmp_path / "s.7z", tmp_path / "out", DIRECTORY, password="p")
    with pytest.raises(UsageError, match="one file first"):
        convert_to(tmp_path / "dir", tmp_path / "out", SEVENZIP, encrypt=True, password="p")
    with pytest.raises(UsageError, match="into itself"):
        convert_to(bundle, bundle, KITBAG)
    with pytest.raises(UsageError, match="no bundle at"):
        convert_to(tmp_path / "none", tmp_path / "out", KITBAG)
    with pytest.raises(KitbagError):
        convert_to(bundle, tmp_path / "no" / "such", SEVENZIP)


@pytest.mark.parametrize("form", [KITBAG, SEVENZIP])
def test_a_full_drive_is_the_targets_fault(bundle, tmp_path, form):
    """The system says so in the middle; the message names what could not be written."""
    convert_to(bundle, tmp_path / "s.7z", SEVENZIP, encrypt=True, password="p")
    program = (
        "import resource, sys, signal; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "from kitbag_packer.converting import *; from kitbag_bundles.reporting import *\n"
        "from kitbag_bundles.errors import FileSystemError\n"
        "try: convert(Path(sys.argv[1]), Target(sys.argv[2], sys.argv[3]), lambda _: 'p',"
        " SilentReporter())\n"
        "except FileSystemError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "s.7z", tmp_path / "out", form],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith(f"cannot write {tmp_path / 'out'}"), done.stderr
    assert os.listdir(tmp_path) == ["s.7z"]
    assert FileSystemError.exit_status == 1


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path):
    """A bundle of 300 MB goes into an encrypted file and out again."""
    require(os.path.exists("/proc/self/status"), "needs Linux to tell a peak of memory")
    folder = tmp_path / "b"
    folder.mkdir()
    small = tiny_bundle(folder / "small", "3.13.5")
    program = (
        "import re, sys; from pathlib import Path; from kitbag_packer.converting import *\n"
        "from kitbag_bundles.reporting import *\n"
        "convert(Path(sys.argv[1]), Target(sys.argv[2], sys.argv[3], sys.argv[4] == 'yes'),"
        " lambda _: 'p', SilentReporter())\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    big = make_big(small, tmp_path / "big.kitbag", 300_000_000)
    peaks = {}
    for source, out, form, encrypt in (
        (big, "s.7z", SEVENZIP, "yes"),
        (tmp_path / "s.7z", "back.kitbag", KITBAG, "no"),
        (big, "t.7z", SEVENZIP, "no"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, source, tmp_path / out, form, encrypt],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True, timeout=280, check=True,
        )  # fmt: skip
        peaks[out] = int(done.stdout) / 1024
    assert digest(tmp_path / "back.kitbag") == digest(big)
    assert max(peaks.values()) < 100, peaks


def make_big(small, path, size):
    """The same bundle with one member more of random bytes below ``meta/``."""
    import random

    from kitbag_bundles import sums
    from kitbag_packer.sources import bytes_member
    from kitbag_packer.writing import write_bundle

    with Bundle.open(small) as opened:
        members = [
            bytes_member(name, stream.read())
            for name in opened.names()
            for stream in [opened._container.open(name)]
            if name != sums.MEMBER
        ]
    members.append(bytes_member("meta/noise", random.Random(1).randbytes(1 << 20) * (size >> 20)))
    digests = {member.name: member.sha256 for member in members}
    members.append(bytes_member(sums.MEMBER, sums.render(digests)))
    write_bundle(path, members, reporter=SilentReporter())
    return path
