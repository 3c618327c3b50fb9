"""requirements.txt: what pip accepts is read; what can't be carried is refused with its line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_packer.environments import requirements
from kitbag_packer.environments.requirements import Requirements, read_requirements
from kitbag_packer.errors import Unverified

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def read(folder: Path, text: str, **environ: str) -> Requirements:
    path = folder / "requirements.txt"
    path.write_text(text)
    return read_requirements(path, environ)


def pins(found: Requirements) -> list[tuple[str, str, set[str]]]:
    return [(pin.name, pin.version, set(pin.hashes)) for pin in found.pins]


class TestReading:
    def test_as_tools_write_it(self, tmp_path: Path) -> None:
        found = read(
            tmp_path,
            "# made by a tool\n"
            "--index-url https://me:s3cret@corp/simple\n"
            "--extra-index-url=https://other/simple  # a comment\n"
            "--require-hashes\n--no-binary :all:\n-f ./wheels\n\n"
            "Foo.Bar[x,y]==1.0 ; python_version >= '3.9' \\\n"
            f"    --hash=sha256:{A} \\\n"
            f"    --hash=sha256:{B.upper()} \\\n"
            "    # after it\n"
            f"idna == 3.10.0 --hash sha256:{C} --config-settings x=y # why not\n"
            f"baz===1.0rc1 --hash=sha512:{A}{A} --hash=sha256:{A}",
        )
        assert pins(found) == [
            ("foo-bar", "1.0", {A, B}),
            ("idna", "3.10.0", {C}),
            ("baz", "1.0rc1", {A}),
        ]
        assert found.addresses == ["https://me:s3cret@corp/simple", "https://other/simple"]
        assert found.where("foo-bar") == f"{tmp_path / 'requirements.txt'}, line 8"
        assert found.hashes_of("idna", "3.10.0") == {C}
        assert found.hashes_of("idna", "3.10.1") == set()
        assert "s3cret" not in repr(found.pins)

    def test_a_mark_at_the_begin_and_ends_of_lines_of_windows(self, tmp_path: Path) -> None:
        found = read(tmp_path, f"\ufeffidna==3.10 \\\r\n  --hash=sha256:{A}\r\n")
        assert pins(found) == [("idna", "3.10", {A})]

    def test_addresses_and_files(self, tmp_path: Path) -> None:
        found = read(
            tmp_path,
            f"demo @ https://me:s3cret@host/demo-1.0-py3-none-any.whl --hash=sha256:{A}\n"
            f"./wheels/other-1.0-py3-none-any.whl --hash=sha256:{B}\n",
        )
        assert pins(found) == [("demo", "", {A}), ("", "", {B})]
        assert found.addresses == ["https://me:s3cret@host/demo-1.0-py3-none-any.whl"]
        assert found.hashes_of("other", "1.0") == {B}
        assert "s3cret" not in repr(found.pins)

    def test_includes_are_relative_to_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep/base.txt").write_text(f"idna==3.10 --hash=sha256:{A}\n-r more.txt\n")
        (tmp_path / "deep/more.txt").write_text(f"attrs==1 --hash=sha256:{B}\n")
        found = read(tmp_path, "-r deep/base.txt\n")
        assert [name for name, _, _ in pins(found)] == ["idna", "attrs"]
        assert found.where("attrs") == f"{tmp_path / 'deep/more.txt'}, line 1"

    @pytest.mark.parametrize("option", ["-c con.txt", "--constraint=con.txt", "-ccon.txt"])
    def test_constraints_pin_and_hash(self, tmp_path: Path, option: str) -> None:
        (tmp_path / "con.txt").write_text(f"idna==3.10 --hash=sha256:{A}\nunused>=1\n")
        found = read(tmp_path, f"idna\n{option}\n")
        assert pins(found) == [("idna", "", set())]
        assert found.hashes_of("idna", "3.10") == {A}

    def test_variables(self, tmp_path: Path) -> None:
        text = "--index-url https://${USER_X}:${TOKEN}@corp/${missing}/${GONE}\n"
        found = read(tmp_path, text, USER_X="me", TOKEN="s3cret", OTHER="no")
        assert found.addresses == ["https://me:s3cret@corp/${missing}/${GONE}"]
        assert found.variables == {"USER_X": "me", "TOKEN": "s3cret"}
        assert "s3cret" not in repr(found.pins)

    def test_nothing_is_asked_for(self, tmp_path: Path) -> None:
        assert read(tmp_path, "\n# nothing\n").pins == []


class TestRefusals:
    @pytest.mark.parametrize("text", ["idna>=3", "idna", "idna==3.*", "idna~=3.10"])
    def test_what_is_not_pinned(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(UsageError, match=r"line 2 \(idna.*\) is not pinned .*==.*hashes"):
            read(tmp_path, f"\n{text} --hash=sha256:{A}\n")

    def test_what_has_no_hash(self, tmp_path: Path) -> None:
        with pytest.raises(Unverified) as refused:
            read(tmp_path, f"a==1\nb==1 --hash=sha256:{A}\nc==1 --hash=md5:{'0' * 32}\n")
        told = str(refused.value)
        assert "line 1 (a==1), " in told
        assert "line 3 (c==1) are without --hash=sha256" in told
        assert "b==1" not in told

    def test_many_are_counted(self, tmp_path: Path) -> None:
        with pytest.raises(Unverified, match="and 35 more are without"):
            read(tmp_path, "".join(f"a{number}==1\n" for number in range(40)))

    def test_no_secret_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(Unverified) as refused:
            read(tmp_path, "demo @ https://me:s3cret@host/demo-1.0-py3-none-any.whl\n")
        assert "https://host/demo" in str(refused.value)
        assert "s3cret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("-e .", "-e, and an editable project"),
            ("--editable=git+https://x/y", "-e, and an editable project"),
            ("-r https://me:s3cret@host/r.txt", "includes https://host/r.txt, which is on the web"),
            ("-r none.txt", "none.txt, which requirements.txt includes, can't be read"),
            ("-r requirements.txt", "includes itself"),
            ("-f 'x", "quotation mark"),
            (f"a==1 \\\n# between\n --hash=sha256:{A}", "line 3 has a --hash without"),
            ("not a requirement", "is no requirement that can be read"),
            ("./directory", "line 1 (./directory) is without --hash"),
        ],
    )
    def test_lines_that_can_t_be(self, tmp_path: Path, text: str, told: str) -> None:
        with pytest.raises(KitbagError) as refused:
            read(tmp_path, text)
        assert told in str(refused.value)
        assert "s3cret" not in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_files_that_can_t_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="check the path"):
            read_requirements(tmp_path / "none.txt", {})
        (tmp_path / "bad.txt").write_bytes(b"\xff\xfea")
        with pytest.raises(UsageError, match="UTF-8"):
            read_requirements(tmp_path / "bad.txt", {})


_PIECES = ["a==1", "--hash=sha256:" + A, "\\", "\n", " ", "#", "-r", "-", "@", "x", ";", "'", "="]


@given(st.lists(st.sampled_from(_PIECES)).map("".join) | st.text())
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text, "utf-8", newline="")
    with contextlib.suppress(KitbagError):
        found = read_requirements(path, {})
        assert all(pin.version or pin.is_address for pin in found.pins)


@given(st.lists(st.text(st.sampled_from("ab \\#\n"))).map("\n".join))
def test_lines_are_numbered_as_an_editor_does(text: str) -> None:
    last = 0
    lines = text.splitlines()
    for number, line in requirements._logical(text):
        assert number > last
        assert line == line.strip()
        assert line[:1] in lines[number - 1] or lines[number - 1].strip(" \\") == ""
        last = number
