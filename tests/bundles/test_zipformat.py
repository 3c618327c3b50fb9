from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import zipformat
from kitbag_bundles.zipformat import Record

LIMIT = 0xFFFFFFFF

records = st.builds(
    Record,
    st.from_regex(r"[a-z./]{1,200}", fullmatch=True),
    st.integers(0, 2**33) | st.sampled_from([LIMIT - 1, LIMIT, LIMIT + 1]),
    st.integers(0, LIMIT),
    st.integers(0, 2**34) | st.sampled_from([LIMIT - 1, LIMIT, LIMIT + 1]),
    st.booleans(),
    st.booleans(),
)


def extra_fields(extra: bytes) -> dict[int, bytes]:
    found = {}
    while extra:
        number, size = struct.unpack_from("<2H", extra)
        found[number] = extra[4 : 4 + size]
        extra = extra[4 + size :]
    return found


@given(records)
def test_a_local_header_says_what_appnote_wants(record: Record) -> None:
    header = zipformat.local_header(record)
    assert zipformat.data_offset(record) == record.offset + len(header)
    if record.aligned:
        assert zipformat.data_offset(record) % 4096 == 0
    fields = zipformat.LOCAL_HEADER.unpack_from(header)
    signature, version, flags, method, time, date, crc, packed, size, name_size, extra_size = fields
    assert (signature, flags, method, time, date) == (b"PK\x03\x04", 0, 0, 0, 33)
    assert crc == record.crc32
    assert header[30 : 30 + name_size].decode() == record.name
    assert len(header) == 30 + name_size + extra_size
    extra = extra_fields(header[30 + name_size :])
    assert packed == size
    if record.size >= LIMIT:
        assert size == LIMIT
        assert struct.unpack("<2Q", extra.pop(1)) == (record.size, record.size)
    else:
        assert size == record.size
    assert version == (45 if record.size >= LIMIT or record.offset >= LIMIT else 20)
    if record.aligned:
        padding = extra.pop(0xA11E)
        assert padding[:2] == b"\x00\x10"
        assert not any(padding[2:])
        assert len(padding) < 2 + 4096
    assert not extra


@given(records)
def test_a_central_header_says_what_appnote_wants(record: Record) -> None:
    header = zipformat.central_header(record)
    fields = zipformat.CENTRAL_HEADER.unpack_from(header)
    assert fields[0] == b"PK\x01\x02"
    assert fields[1] == 3 << 8 | fields[2]
    assert fields[3:7] == (0, 0, 0, 33)
    assert fields[7] == record.crc32
    name_size, extra_size = fields[10:12]
    assert fields[12:15] == (0, 0, 0)
    assert fields[15] >> 16 == (0o100755 if record.executable else 0o100644)
    assert len(header) == 46 + name_size + extra_size
    large = [value for value in (record.size,) * 2 + (record.offset,) if value >= LIMIT]
    assert fields[8] == fields[9] == min(record.size, LIMIT)
    assert fields[16] == min(record.offset, LIMIT)
    expected = {1: struct.pack(f"<{len(large)}Q", *large)} if large else {}
    assert extra_fields(header[46 + name_size :]) == expected
    assert fields[2] == (45 if large else 20)


@pytest.mark.parametrize(("offset", "zip64"), [(0, False), (LIMIT - 1, False), (LIMIT, True)])
def test_zip64_end_records_are_there_only_when_needed(offset: int, zip64: bool) -> None:
    data = zipformat.end_records(3, offset, 200, 79)
    assert len(data) == 22 + (76 if zip64 else 0)
    assert struct.unpack("<4s4H2LH", data[-22:]) == (
        *(b"PK\x05\x06", 0, 0, 3, 3, 200, min(offset, LIMIT), 79),
    )
    if zip64:
        assert struct.unpack("<4sQ2H2L4Q", data[:56]) == (
            *(b"PK\x06\x06", 44, 3 << 8 | 45, 45, 0, 0, 3, 3, 200, offset),
        )
        assert struct.unpack("<4sLQL", data[56:76]) == (b"PK\x06\x07", 0, offset + 200, 1)
