import hashlib
import json

import pytest

from kitbag_packer.targets import host_target
from support.commands import run_kitbag

NAME = "cpython-{}+20260101-x86_64-unknown-linux-gnu{}.tar.gz"
WINDOWS = "cpython-{}+20260101-x86_64-pc-windows-msvc-install_only_stripped.tar.gz"
GNU = "linux-x86_64-gnu"


def digest(name):
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def sums(tmp_path):
    """A SHA256SUMS of a release."""
    names = [
        NAME.format("3.13.4", "-install_only"),
        NAME.format("3.13.5", "-install_only"),
        NAME.format("3.13.5", "-install_only_stripped"),
        NAME.format("3.13.5", "-freethreaded-install_only"),
        NAME.format("3.12.9", "-install_only"),
        NAME.format("3.13.5", "-pgo+lto-full").replace(".tar.gz", ".tar.zst"),
        WINDOWS.format("3.13.5"),
    ]
    path = tmp_path / "SHA256SUMS"
    path.write_text("".join(f"{digest(name)}  {name}\n" for name in names))
    return path


def listed(done):
    assert done.status == 0, done.err
    return [line.split() for line in done.out.splitlines()]


def test_the_newest_of_each_minor_version(capfd, sums):
    done = run_kitbag(capfd, "list", "--catalog", sums, "--target", GNU)
    assert done.out == (
        f"cpython-3.13.5-{GNU}  install_only_stripped  20260101\n"
        f"cpython-3.12.9-{GNU}  install_only           20260101\n"
    )
    assert done.err.startswith(f"kitbag: 2 builds, from {sums}")
    assert run_kitbag(capfd, "list", "--catalog", sums, "--target", GNU, "-q").err == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["3.13", "--all-versions"], [f"cpython-3.13.5-{GNU}", f"cpython-3.13.4-{GNU}"]),
        (["3.13t"], [f"cpython-3.13.5+freethreaded-{GNU}"]),
        (["3.13-windows-x86_64"], ["cpython-3.13.5-windows-x86_64-none"]),
        (["3.12"], [f"cpython-3.12.9-{GNU}"]),
        (["3.13", "--target", "all"],
         [f"cpython-3.13.5-{GNU}", "cpython-3.13.5-windows-x86_64-none"]),
    ],
)  # fmt: skip
def test_what_is_asked_for(capfd, sums, words, expected):
    done = run_kitbag(capfd, "list", *words, "--catalog", sums, "--target", GNU)
    assert [row[0] for row in listed(done)] == expected


def test_another_flavor(capfd, sums):
    done = run_kitbag(capfd, "list", "--catalog", sums, "--target", GNU, "--flavor", "pgo+lto+full")
    assert listed(done) == [[f"cpython-3.13.5-{GNU}", "pgo+lto+full", "20260101"]]


def test_sizes_and_what_is_in_the_cache(capfd, tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    for version, flavor in (("3.13.5", "-install_only"), ("3.12.9", "-install_only_stripped")):
        (folder / NAME.format(version, flavor)).write_bytes(b"x" * 1234)
    words = ("list", "--catalog", folder, "--target", GNU, "--cache-dir", tmp_path / "cache")
    assert listed(run_kitbag(capfd, *words)) == [
        [f"cpython-3.13.5-{GNU}", "install_only", "20260101", "1.2", "kB"],
        [f"cpython-3.12.9-{GNU}", "install_only_stripped", "20260101", "1.2", "kB"],
    ]
    for build in run_kitbag(capfd, *words, "--json").json["builds"]:
        assert build["cached"] is False
        assert build["size"] == 1234


def uv_entry(url, **fields):
    entry = {
        "name": "cpython", "arch": {"family": "x86_64", "variant": None}, "os": "linux",
        "libc": "gnu", "major": 3, "minor": 13, "patch": 5, "prerelease": "", "url": url,
        "sha256": digest(url), "variant": None, "build": "20260101", **fields,
    }  # fmt: skip
    return {f"cpython-3.{entry['minor']}.{entry['patch']}-{GNU}": entry}


def test_json_has_every_field_and_no_credentials(capfd, tmp_path):
    name = NAME.format("3.13.5", "-install_only_stripped").replace("+", "%2B")
    url = f"https://you:secret@mirror.test/20260101/{name}?token=hidden"
    catalog = tmp_path / "list.json"
    catalog.write_text(json.dumps(uv_entry(url)))
    cache = tmp_path / "cache"
    (cache / "archives").mkdir(parents=True)
    (cache / "archives" / digest(url)).write_bytes(b"")
    done = run_kitbag(
        capfd, "list", "--catalog", catalog, "--target", GNU, "--cache-dir", cache, "--json"
    )
    assert done.json == {
        "builds": [
            {
                "key": f"cpython-3.13.5-{GNU}",
                "implementation": "cpython",
                "version": "3.13.5",
                "variant": "",
                "target": GNU,
                "filename": NAME.format("3.13.5", "-install_only_stripped"),
                "url": "https://github.com/astral-sh/python-build-standalone/releases/download/"
                f"20260101/{name}",
                "size": None,
                "sha256": digest(url),
                "flavor": "install_only_stripped",
                "release": "20260101",
                "options": [],
                "static": False,
                "catalog": str(catalog),
                "cached": True,
            }
        ],
        "catalogs": [
            {
                "name": str(catalog),
                "date": "",
                "sha256": hashlib.sha256(catalog.read_bytes()).hexdigest(),
            }
        ],
    }
    shown = run_kitbag(capfd, "list", "--catalog", catalog, "--target", GNU, "--cache-dir", cache)
    assert listed(shown)[0][-1] == "cached"
    assert "secret" not in done.out + done.err + shown.out + shown.err


def test_which_catalog_where_there_are_several(capfd, tmp_path, sums):
    catalog = tmp_path / "mine.json"
    name = NAME.format("3.14.1", "-install_only_stripped").replace("+", "%2B")
    catalog.write_text(json.dumps(uv_entry(f"https://mirror.test/{name}", minor=14, patch=1)))
    done = run_kitbag(capfd, "list", "--catalog", catalog, "--catalog", sums, "--target", GNU)
    assert [row[-1] for row in listed(done)] == ["mine.json", "SHA256SUMS", "SHA256SUMS"]


def test_the_catalog_that_comes_with_kitbag(capfd):
    done = run_kitbag(capfd, "list", "--catalog", "embedded")
    rows = listed(done)
    assert len(rows) > 5
    assert rows[0][0].endswith(str(host_target()))
    assert "from embedded of 20" in done.err
    assert "kitbag catalog update" in done.err
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["3.12", "3.99"], 4, f"nothing matches 3.99 for {GNU}: "),
        (["3.x"], 2, "'3.x' names no Python"),
        (["--target", "linux-x86_65"], 2, "did you mean linux-x86_64-gnu"),
        (["--flavor", "instal_only"], 2, "did you mean install_only?"),
    ],
)
def test_errors(capfd, sums, words, status, said):
    done = run_kitbag(capfd, "list", "--catalog", sums, "--target", GNU, *words)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith("kitbag: error: ")
    assert said in done.err
    assert done.err.count("\n") == 1
