import hashlib
import io
import threading
from dataclasses import replace

import pytest

from kitbag_bundles.errors import ArchiveError, DigestMismatch
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.payloads import PayloadReader
from support.bundles import packed_build
from support.members import Member, tar_bytes, write_archive

MEMBERS = [Member(f"python/f{number}", bytes([number]) * 300_000) for number in range(20)]
PROGRESS = SilentReporter().progress("", 0)


def reader(archive: bytes, name: str, promised: str = "", progress=PROGRESS) -> PayloadReader:
    build = packed_build().build
    digest = promised or hashlib.sha256(archive).hexdigest()
    payload = replace(build.payload, member=f"archives/{name}", sha256=digest)
    return PayloadReader(replace(build, payload=payload), io.BytesIO(archive), progress)


@pytest.fixture(params=[".tar.gz", ".tar.xz", ".zip", ".7z"])
def packed(request, tmp_path) -> tuple[bytes, str]:
    name = f"x{request.param}"
    return write_archive(MEMBERS, tmp_path / name, request.param).read_bytes(), name


@pytest.fixture(autouse=True)
def _no_thread_stays():
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("kitbag-")]


def test_members_come_and_the_digest_is_checked(packed):
    with reader(*packed) as payload:
        assert (payload.name, payload.top) == (packed[1], "python")
        found = {member.path: b"".join(chunks) for member, chunks in payload}
        payload.check()
    assert found == {member.path: member.data for member in MEMBERS}


def test_other_bytes_than_promised_are_told(packed):
    """At once where the archive is read from its end, else after its last member."""

    def consume() -> None:
        with reader(*packed, promised="0" * 64) as payload:
            for _ in payload:
                pass
            payload.check()

    with pytest.raises(DigestMismatch, match=r"its sha256 is .* and not 0000.*copy it again"):
        consume()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_it_can_be_left_early(packed, taken):
    with reader(*packed) as payload:
        members = iter(payload)
        for _ in range(taken):
            next(members)


def test_progress_counts_every_compressed_byte_once(packed):
    counted = []

    class Progress:
        def __enter__(self):
            return self

        def __exit__(self, *exc: object) -> None: ...

        def advance(self, count: int) -> None:
            counted.append(count)

    with reader(*packed, progress=Progress()) as payload:
        for _ in payload:
            pass
    assert sum(counted) == len(packed[0])


def test_the_decompressor_starts_by_itself(packed):
    if not packed[1].startswith("x.tar"):
        return
    begun = threading.Event()

    class Progress:
        def __enter__(self):
            return self

        def __exit__(self, *exc: object) -> None: ...

        def advance(self, count: int) -> None:
            begun.set()

    # Nobody asks for a member, and yet the archive is read.
    with reader(*packed, progress=Progress()):
        assert begun.wait(30)


def test_a_damaged_archive_is_told_as_such():
    data = tar_bytes(MEMBERS)

    def consume() -> None:
        with reader(data, "x.tar.gz") as payload:
            for _ in payload:
                pass

    with pytest.raises(ArchiveError, match=r"x\.tar\.gz: damaged archive"):
        consume()
