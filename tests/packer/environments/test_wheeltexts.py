import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError
from kitbag_packer.environments.wheeltexts import parse_metadata, parse_record, parse_scripts
from support.wheels import record_line


def outcome(parse, data):
    try:
        return parse(data, "x.whl"), ""
    except ArchiveError as error:
        return {}, str(error)


@given(st.binary(max_size=200))
def test_any_bytes_as_record_are_read_or_refused(data):
    found, message = outcome(parse_record, data)
    assert message.partition("\n")[0] == message
    assert all(isinstance(path, str) for path in found)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters='\r\n,"\0'), min_size=1),
        st.binary(max_size=20),
        max_size=5,
    )
)
def test_lines_that_tools_write_are_read(files):
    files = {path: data for path, data in files.items() if not path.endswith("/")}
    text = "".join(record_line(path, data) for path, data in files.items())
    found = parse_record(text.encode(), "x.whl")
    assert {path: line.size for path, line in found.items()} == {
        path: len(data) for path, data in files.items()
    }


def test_line_ends_blank_lines_and_folders_do_not_matter():
    text = "\r\na.py,sha256=" + "A" * 43 + ",1\r\n\r\npkg/,,\r\nx.dist-info/RECORD,,\r\n"
    found = parse_record(text.encode(), "x.whl")
    assert list(found) == ["a.py", "x.dist-info/RECORD"]
    assert found["x.dist-info/RECORD"] is None


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
four = ü:é

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
