from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_installer.rewriting import record

from .texts import all_texts

SITE = "lib/python3.13/site-packages"


def test_only_rows_of_rewritten_files_change() -> None:
    text = (
        "../../../bin/pip,sha256=old,3\r\n../../../bin/pip3,sha256=old,3\r\n"
        'pip/"odd",sha256=x,1\r\n"a,b ""c"".py",sha256=x,1\r\npip/x.py,sha256=old,3\n'
        "pip-1.dist-info/RECORD,,\r\n../../../bin/pip3.13,,\r\n"
    )
    content = b"#!/opt/py\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    new = record.rewrite(
        text,
        SITE,
        {"bin/pip": content, "bin/pip3.13": content, f'{SITE}/a,b "c".py': content, "other": b""},
    )
    assert new == (
        f"../../../bin/pip,sha256={digest},10\r\n../../../bin/pip3,sha256=old,3\r\n"
        f'pip/"odd",sha256=x,1\r\n"a,b ""c"".py",sha256={digest},10\r\npip/x.py,sha256=old,3\n'
        "pip-1.dist-info/RECORD,,\r\n../../../bin/pip3.13,,\r\n"
    )
    assert record.rewrite(text, SITE, {}) == text


@given(
    st.lists(st.text('ab," .-é/', min_size=1).filter(lambda n: n.strip("/. ")), unique=True),
    st.sampled_from(["\n", "\r\n"]),
)
def test_csv_readers_see_the_new_rows(names: list[str], end: str) -> None:
    names = sorted({posixpath.normpath(name).lstrip("/.") or "x" for name in names})
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=end).writerows([name, "sha256=old", "3"] for name in names)
    changed = {f"{SITE}/{name}": name.encode() for name in names[::2]}
    new = record.rewrite(buffer.getvalue(), SITE, changed)
    rows = list(csv.reader(io.StringIO(new, newline="")))
    assert [row[0] for row in rows] == names
    assert [int(row[2]) for row in rows[::2]] == [len(name.encode()) for name in names[::2]]
    assert all(row[1:] == ["sha256=old", "3"] for row in rows[1::2])


@pytest.mark.parametrize("texts", all_texts(), ids=lambda texts: texts.interpreter.minor)
def test_real_records(texts) -> None:
    found = sorted(texts.interpreter.stdlib.glob("site-packages/pip-*.dist-info/RECORD"))
    if not found:
        pytest.skip("no pip in this interpreter")
    text = found[0].read_bytes().decode()
    name = f"bin/pip{texts.interpreter.minor}"
    new = record.rewrite(text, f"{texts.library}/site-packages", {name: b"x" * 99})
    assert len(new.split("\n")) == len(text.split("\n"))
    (line,) = [n for o, n in zip(text.split("\n"), new.split("\n"), strict=True) if o != n]
    assert re.fullmatch(rf"\.\./\.\./\.\./{re.escape(name)},sha256=[\w-]{{43}},99\r?", line)
