import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError
from kitbag_packer.environments.wheeltexts import parse_metadata, parse_scripts


def outcome(parse, data):
    try:
        return parse(data, "x.whl"), ""
    except ArchiveError as error:
        return {}, str(error)


@given(st.binary(max_size=200))
def test_any_bytes_as_entry_points_are_read_or_refused(data):
    scripts, message = outcome(parse_scripts, data)
    assert message.partition("\n")[0] == message
    assert not any("/" in name or "\\" in name for name in scripts)


def test_what_is_read_is_what_the_standard_library_reads():
    text = """
[console_scripts]
one = a.b:c.d
two=a:b [extra,other]
Three =a:b
with.dots-and_more = a:b

[gui_scripts]
four = u:e

[other.group]
anything = goes : here % too
"""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    scripts = parse_scripts(text.encode(), "x.whl")
    assert list(scripts) == [*parser["console_scripts"], *parser["gui_scripts"]]
    assert scripts["two"] == "a:b"


def test_metadata_that_is_not_utf8_still_tells(tmp_path):
    data = b"Metadata-Version: 1.0\nName: Old_Thing\nVersion: 1.0.0\nAuthor: M\xfcller\n\n\xff\n"
    assert parse_metadata(data, "old-thing", "1.0", "x.whl").version == "1.0.0"


@pytest.mark.parametrize("field", ["Name", "Version", "Metadata-Version"])
def test_metadata_without_what_it_must_have(field):
    lines = ["Metadata-Version: 2.1", "Name: x", "Version: 1"]
    data = "\n".join(line for line in lines if not line.startswith(f"{field}:")).encode()
    with pytest.raises(ArchiveError):
        parse_metadata(data, "x", "1", "x.whl")
