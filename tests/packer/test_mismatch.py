import datetime as dt
import re

import pytest

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.keys import Target
from kitbag_bundles.requests import parse_requests
from kitbag_packer.flavors import parse_flavor
from kitbag_packer.mismatch import no_match
from kitbag_packer.resolution import resolve
from support.stock import offer, stock

GNU, MUSL, V3 = "linux-x86_64-gnu", "linux-x86_64-musl", "linux-x86_64_v3-gnu"
STOCK = stock(
    *(f"cpython-{version}-{GNU}" for version in ("3.8.20", "3.9.25", "3.10.1", "3.11.2")),
    *(f"cpython-3.12.{patch}-{GNU}" for patch in (1, 3, 7)),
    f"cpython-3.12.7+debug-{GNU}",
    *(f"cpython-{version}-{GNU}" for version in ("3.13.0rc1", "3.13.0rc3", "3.13.5")),
    f"cpython-3.13.5+freethreaded-{GNU}",
    f"cpython-3.13.6-{V3}",
    f"cpython-3.12.4-{MUSL}",
    "cpython-3.12.4-macos-aarch64-none",
    "cpython-3.12.4-linux-aarch64-gnu",
    offer(f"cpython-3.14.0-{GNU}", "full", options=("lto", "pgo")),
    offer(f"pypy-3.11.13-{GNU}", ""),
)


def why(text, target=GNU, flavor="", catalogs=(STOCK,)):
    (request,) = parse_requests([text])
    where = Target.parse(target) if target else None
    error = no_match([(request, where)], catalogs, parse_flavor(flavor))
    assert error.exit_status == 4
    start = f"nothing matches {text}{f' for {target}' if target else ''}: "
    assert str(error).startswith(start)
    return str(error).removeprefix(start)


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("3.12.99", GNU, "the newest 3.12 is 3.12.7"),
        ("3.12.2", GNU, "the newest 3.12 is 3.12.7, the nearest are 3.12.1 and 3.12.3"),
        ("3.12.0", GNU, "the newest 3.12 is 3.12.7, the nearest is 3.12.1"),
        ("3.13.0rc2", GNU, "the newest 3.13 is 3.13.5, the nearest are 3.13.0rc1 and 3.13.0rc3"),
        ("3.99", GNU, "the versions are 3.8 to 3.14, the newest is 3.14.0"),
        (">=3.99", None, "the versions are 3.8 to 3.14, the newest is 3.14.0"),
        ("3.99", MUSL, "the newest is 3.12.4"),
        ("pypy3.10", GNU, "the newest is 3.11.13"),
        ("graalpy", GNU, "the catalogs have no GraalPy"),
        ("pypy", V3, f"there is no PyPy for that, only for {GNU}"),
        (
            "3.12",
            "linux-s390x-gnu",
            (
                f"there is no CPython for that, only for {GNU}, linux-aarch64-gnu, {MUSL} and "
                "macos-aarch64-none"
            ),
        ),
        (
            "3.12.4",
            GNU,
            (
                f"it is only for {MUSL}, linux-aarch64-gnu and macos-aarch64-none, and on this "
                "target the newest 3.12 is 3.12.7, the nearest is 3.12.3"
            ),
        ),
        ("3.13.6", GNU, f"it is only for {V3}, and on this target the newest 3.13 is 3.13.5"),
        (
            "3.12t",
            GNU,
            (
                "there is no +freethreaded build of it, only +debug and an ordinary one, the "
                "newest +freethreaded build is 3.13.5"
            ),
        ),
        (
            "3.11+debug",
            GNU,
            (
                "there is no +debug build of it, only an ordinary one, the newest "
                "+debug build is 3.12.7"
            ),
        ),
    ],
)
def test_what_would_have_matched(text, target, expected):
    assert why(text, target) == expected


def test_another_flavor():
    assert why("3.12.7", flavor="full") == ("there is no full of it, only install_only_stripped")
    assert why("3.14", flavor="noopt+full") == "there is no noopt+full of it, only pgo+lto+full"
    assert why("pypy", flavor="portable") == "there is no portable of it, only the usual kind"


def test_a_platform_that_never_is():
    key = "pyodide-3.13.2-emscripten-wasm32-musl"
    (request,) = parse_requests(["pyodide-3.13-linux"])
    with pytest.raises(NoMatch, match="it is only for emscripten-wasm32-musl"):
        resolve([request], [GNU], [stock(offer(key, "xbuildenv"))])


def test_one_line_of_bounded_length():
    requests = parse_requests([",".join([">=3.99"] * n) for n in range(20, 120)])
    targets = [Target("linux", f"cpu{n}", "gnu") for n in range(50)]
    failures = [(request, target) for request in requests for target in targets]
    failures += [(request, None) for request in parse_requests([f"3.{n}.99" for n in range(8, 13)])]
    message = str(no_match(failures, [STOCK], parse_flavor("")))
    assert len(message) < 2500
    assert "\n" not in message
    assert re.search(r": there is no CPython for that, .*; and \d more like these$", message)
    assert re.search(r"for linux-cpu0-gnu(, linux-cpu\d-gnu){3} and \d+ more: ", message)


class TestAdvice:
    def said(self, *catalogs):
        return why("3.99", None, catalogs=catalogs).partition("; ")[2]

    def listed(self, name, date):
        return stock(*STOCK.listed, name=name, date=date)

    def test_where_only_the_embedded_list_was_asked(self):
        today = dt.datetime.now(dt.UTC).date().isoformat()
        assert self.said(self.listed("embedded", today)) == (
            f"the newest list is of {today}; kitbag catalog update fetches newer ones"
        )

    def test_where_the_stored_lists_are_old(self):
        old, new = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=n) for n in (60, 2))
        embedded = self.listed("embedded", "2026-01-01")
        url = "https://example.test/uv.json"
        assert "kitbag catalog update" in self.said(self.listed(url, f"{old}"), embedded)
        assert self.said(self.listed(url, f"{new}"), embedded) == ""

    def test_not_where_a_list_was_named(self):
        assert self.said(self.listed("mine.json", "2020-01-01")) == ""
