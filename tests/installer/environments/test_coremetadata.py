"""What an index tells of a wheel: read from sound wheels, and left out for all others."""

from __future__ import annotations

import pytest

from kitbag_installer.environments.coremetadata import core_metadata, requires_python
from support.wheels import make_wheel


def test_the_file_as_it_is(tmp_path):
    text = "Metadata-Version: 2.1\nName: a\nVersion: 1\n\nGrüße\n"
    assert core_metadata(str(make_wheel(tmp_path, "a", metadata=text))) == text.encode()


@pytest.mark.parametrize(
    "more",
    [
        {"info": "a.dist-info/deeper"},
        {"extra": [("b-1.0.dist-info/METADATA", b"Name: b\n")]},
        {"metadata": "x" * ((1 << 22) + 1)},
    ],
)
def test_none_or_not_one(tmp_path, more):
    assert core_metadata(str(make_wheel(tmp_path, "a", **more))) == b""


def test_damage_is_no_crash(tmp_path):
    path = make_wheel(tmp_path, "a")
    data = path.read_bytes()
    for at in range(0, len(data), 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        core_metadata(str(path))
        path.write_bytes(data[:at])
        assert core_metadata(str(path)) == b""
    with pytest.raises(FileNotFoundError):
        core_metadata(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Name: a\nRequires-Python: >=3.9,<4\n\n", ">=3.9,<4"),
        ("Name: a\r\nrequires-python:~=3.9\r\n\r\n", "~=3.9"),
        ("Name: a\n\nRequires-Python: >=3.9\n", ""),
        ('Requires-Python: >=3"><script>\n\n', ""),
        ("Requires-Python: \xff\n\n", ""),
        ("Requires-Python:\n\n", ""),
        ("", ""),
    ],
)
def test_which_pythons(text, found):
    assert requires_python(text.encode()) == found
