from kitbag_packer.recipes.changes import changes
from kitbag_packer.recipes.lock import Lock
from support.recipes import LINUX, MACOS, WINDOWS, a_pin


def lock(*pins) -> Lock:
    return Lock.of(pins, [])


def keys(pins) -> list[str]:
    return [str(pin.key) for pin in pins]


def test_everything_is_new_at_first():
    found = changes(None, lock(a_pin("3.13.5"), a_pin("3.12.9")))
    assert keys(found.added) == [f"cpython-3.12.9-{LINUX}", f"cpython-3.13.5-{LINUX}"]
    assert (found.removed, found.updated, found.kept) == ((), (), ())


def test_what_becomes_of_each_build():
    before = lock(
        a_pin("3.11.1"),
        a_pin("3.12.9"),
        a_pin("3.13.5"),
        a_pin("3.13.5", MACOS),
        a_pin("3.10.2", WINDOWS, "3.10", "<3.11"),
    )
    after = lock(
        a_pin("3.12.9"),
        a_pin("3.13.6"),
        a_pin("3.13.5", MACOS, sha256="0" * 64, release="20260202"),
        a_pin("3.14.0", WINDOWS, "latest"),
        a_pin("3.10.3", WINDOWS, "<3.11"),
    )
    found = changes(before, after)
    assert keys(found.kept) == [f"cpython-3.12.9-{LINUX}"]
    assert keys(found.removed) == [f"cpython-3.11.1-{LINUX}"]
    assert keys(found.added) == [f"cpython-3.14.0-{WINDOWS}"]
    assert [(str(old.key), str(new.key), new.release) for old, new in found.updated] == [
        (f"cpython-3.10.2-{WINDOWS}", f"cpython-3.10.3-{WINDOWS}", "20260101"),
        (f"cpython-3.13.5-{MACOS}", f"cpython-3.13.5-{MACOS}", "20260202"),
        (f"cpython-3.13.5-{LINUX}", f"cpython-3.13.6-{LINUX}", "20260101"),
    ]
