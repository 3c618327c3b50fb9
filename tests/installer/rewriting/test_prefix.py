from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import DoesNotFit
from kitbag_installer.rewriting import check_home
from kitbag_installer.rewriting.prefix import PREFIX_PATH, path_pattern, shell_quoted

HIT = [
    "/install",
    "/install/lib",
    "a:/install/b",
    "/install:/usr/lib",
    "-L/install/lib",
    "x -I/install/include",
    "'-I/install/include'",
    "-Wl,-rpath,/install/lib",
    "-Wl,-rpath=/install/lib",
    "-Wl,-L/install/lib",
    "-isystem/install/include",
    "'--prefix=/install'",
    '"/install"',
    "(/install)",
    "LDFLAGS=-L/install/lib",
    "#!/install/bin/python3",
    "x; cd /install; y",
    "$PATH:/install",
    "/usr/bin/install -c /install",
]
MISS = [
    "/installer",
    "/install-sh",
    "/installation",
    "/install.txt",
    "/install_x",
    "./install",
    "../install",
    "/usr/bin/install -c",
    "/pip/_internal/operations/install/wheel.py",
    "$(srcdir)/install-sh",
    "$(DESTDIR)/install/lib",
    "${DESTDIR}/install/lib",
    "~/install/lib",
    "*/install/x",
    "c++/install/x",
    "//install/x",
    "x-L/install",
    "--L/install",
    "a-/install/b",
    "https://example.org/install/",
    "ü/install/x",
]


@pytest.mark.parametrize("text", HIT)
def test_the_prefix_is_found_where_it_is_a_path(text: str) -> None:
    assert len(PREFIX_PATH.findall(text)) == 1


@pytest.mark.parametrize("text", MISS)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert not PREFIX_PATH.findall(text)


@given(st.text("ab/.-:= '\"L", max_size=12), st.text("ab/.-:= '\"", max_size=12))
def test_a_match_never_is_part_of_a_longer_path(before: str, after: str) -> None:
    text = f"{before}/install{after}"
    for found in PREFIX_PATH.finditer(text):
        head, tail = text[: found.start()], text[found.end() :]
        assert not tail or tail[0] in "/\"' :="[:4] + ":"
        assert not head or head[-1] in " :='\"" or head[-2:-1] == "-"


def test_several_roots_share_the_rule() -> None:
    pattern = path_pattern("/tools", "/build")
    assert pattern.findall("-I/tools/x ./build/y $(srcdir)/Tools/build/z /build") == [
        "/tools",
        "/build",
    ]


@pytest.mark.parametrize(
    "home", ["/opt/x", "/o p/ü", "/a'\"$`\\#", "/日本", "/a  b", "/nbsp\u00a0x", "/a😀"]
)
def test_every_printable_absolute_home_is_fine(home: str) -> None:
    check_home(home)


@pytest.mark.parametrize(
    "home", ["/a\nb", "/a\tb", "/a\x7f", "/a\x85", "/a\udcff", "rel", "/", "/a/", ""]
)
def test_a_home_that_no_text_can_hold_is_refused_in_one_line(home: str) -> None:
    with pytest.raises(DoesNotFit) as caught:
        check_home(home)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isascii()
    assert caught.value.exit_status == 5


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"])))
def test_a_quoted_text_is_one_word(text: str) -> None:
    assert shlex.split(f"x{shell_quoted(text)}") == [f"x{text}"]


def test_a_real_shell_agrees() -> None:
    special = "".join(chr(code) for code in range(32, 127)) + "üß日"
    done = subprocess.run(
        ["sh", "-c", f"printf %s x{shell_quoted(special)}"], capture_output=True, check=True
    )
    assert done.stdout.decode() == "x" + special


def test_letters_need_no_quotes() -> None:
    assert shell_quoted("/home/ü/a+b@c=d%e,f~g#h") == "/home/ü/a+b@c=d%e,f~g#h"
