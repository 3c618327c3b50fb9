"""kitbag export: the tree, adding to it, and what is refused."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.keys import BuildKey
from support.bundled import bundle_archives, host_key, tiny_bundle, tree_of
from support.commands import run_kitbag
from support.require import require_command
from support.synthetic import SYNTHETIC, make_synthetic_archive

NAMES = ("linux", "macos-arm64", "windows", "pypy", "graalpy", "pyodide")
LISTS = {"download-metadata.json", "download-metadata-direct.json", "README.txt", "SHA256SUMS"}
PLACES = {
    f"20260101/{SYNTHETIC['linux'].filename}",
    f"20260101/{SYNTHETIC['macos-arm64'].filename}",
    f"20260101/{SYNTHETIC['windows'].filename}",
    f"pypy/{SYNTHETIC['pypy'].filename}",
    f"graalpy/graal-24.2.2/{SYNTHETIC['graalpy'].filename}",
    f"pyodide/0.29.5/{SYNTHETIC['pyodide'].filename}",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    archives = [
        (make_synthetic_archive(name, folder / "a"), BuildKey.parse(SYNTHETIC[name].key))
        for name in NAMES
    ]
    return bundle_archives(folder / "x.kitbag", archives)


def damage(path, member):
    """Turn one bit of a member of the bundle at ``path``."""
    with Bundle.open(path) as opened:
        (build,) = (b for b in opened.manifest.builds if b.payload.member == member)
        offset = opened.payload_location(build).offset
    data = bytearray(path.read_bytes())
    data[offset + 40] ^= 1
    path.write_bytes(data)


def files_of(folder):
    return {path for path, (kind, _, _) in tree_of(folder).items() if kind == "f"}


def test_the_tree(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "--json")
    assert done.status == 0
    assert files_of(tmp_path / "srv") == PLACES | LISTS
    table = done.json
    where = (tmp_path / "srv").as_uri()
    assert table["list"] == f"{where}/download-metadata.json"
    assert table["mirrors"]["cpython"] == where
    assert table["mirrors"]["pypy"] == f"{where}/pypy"
    assert {each["action"] for each in table["builds"]} == {"written"}
    for each in table["builds"]:
        data = (tmp_path / "srv" / each["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == each["sha256"]
    lists = [
        json.loads((tmp_path / "srv" / f"download-metadata{kind}.json").read_text())
        for kind in ("", "-direct")
    ]
    assert {entry["url"] for entry in lists[0].values()} == {e["url"] for e in table["builds"]}
    assert all(entry["url"].startswith(f"{where}/") for entry in lists[1].values())
    assert "%2B" in lists[1]["cpython-3.13.5-linux-x86_64-gnu"]["url"]
    assert all(entry["sha256"] for entry in lists[0].values())
    readme = (tmp_path / "srv" / "README.txt").read_text("ascii")
    assert '--pypy-mirror "file://$PWD/pypy"' in readme


def test_the_sums_are_those_of_the_stock_tool(capfd, bundle, tmp_path):
    require_command("sha256sum")
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv").status == 0
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"],
        cwd=tmp_path / "srv", capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    listed = {line[66:] for line in (tmp_path / "srv/SHA256SUMS").read_text().splitlines()}
    assert listed == (PLACES | LISTS) - {"SHA256SUMS"}


def test_people_are_told_how_uv_finds_it(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "pypy", "3.13-linux")
    assert done.out.startswith("Exported 2 builds (")
    assert f" + pypy-3.11.15-linux-x86_64-gnu (pypy/{SYNTHETIC['pypy'].filename})\n" in done.out
    assert f"--pypy-mirror {(tmp_path / 'srv').as_uri()}/pypy" in done.err


def test_same_bundle_same_bytes_and_nothing_touched_again(capfd, bundle, tmp_path):
    for name in ("one", "two"):
        run_kitbag(capfd, "export", bundle, "--to", tmp_path / name, "--base-url", "http://h/p")
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")
    before = {p: p.stat().st_ino for p in (tmp_path / "one").rglob("*")}
    done = run_kitbag(
        capfd, "export", bundle, "--to", tmp_path / "one", "--base-url", "http://h/p/", "--json"
    )
    assert {each["action"] for each in done.json["builds"]} == {"present"}
    assert {p: p.stat().st_ino for p in (tmp_path / "one").rglob("*")} == before


def test_adding_gives_the_same_as_all_at_once(capfd, bundle, tmp_path):
    where = ("--base-url", "https://mirror.example/python")
    run_kitbag(capfd, "export", bundle, "--to", tmp_path / "all", *where)
    for request in ("pypy", "3.13", "graalpy", "pyodide"):
        done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "bits", *where, request)
        assert done.status == 0
    assert tree_of(tmp_path / "all") == tree_of(tmp_path / "bits")
    direct = json.loads((tmp_path / "all/download-metadata-direct.json").read_text())
    urls = {entry["url"] for entry in direct.values()}
    assert f"https://mirror.example/python/pypy/{SYNTHETIC['pypy'].filename}" in urls


def test_an_empty_folder_will_do_and_keeps_its_place(capfd, bundle, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    before = (tmp_path / "real").stat()
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "link", "pypy").status == 0
    assert (tmp_path / "link").is_symlink()
    after = (tmp_path / "real").stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert files_of(tmp_path / "real") == LISTS | {f"pypy/{SYNTHETIC['pypy'].filename}"}


def test_an_empty_folder_is_empty_again_after_an_error(capfd, bundle, tmp_path):
    bad = tmp_path / "bad.kitbag"
    bad.write_bytes(bundle.read_bytes())
    damage(bad, f"archives/{SYNTHETIC['pyodide'].filename}")
    (tmp_path / "srv").mkdir()
    assert run_kitbag(capfd, "export", bad, "--to", tmp_path / "srv").status == 3
    assert list((tmp_path / "srv").iterdir()) == []


def test_what_a_killed_run_left_in_it_is_gone_on_with(capfd, bundle, tmp_path):
    (tmp_path / "srv" / "pypy").mkdir(parents=True)
    (tmp_path / "srv" / ".kitbag-unfinished").touch()
    (tmp_path / "srv" / "SHA256SUMS").write_bytes(b"")
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv").status == 0
    assert files_of(tmp_path / "srv") == PLACES | LISTS


def test_other_peoples_folders_are_left_alone(capfd, bundle, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "home")
    assert (done.status, files_of(tmp_path / "home")) == (2, {"letter.txt"})
    assert "neither empty nor an earlier export" in done.err
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "home" / "letter.txt")
    assert done.status == 2
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "no" / "such")
    assert (done.status, "there is no directory" in done.err) == (2, True)
    (tmp_path / "srv.partial").mkdir()
    (tmp_path / "srv.partial" / "mine").write_text("mine")
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv")
    assert (done.status, "is in the way" in done.err) == (2, True)
    assert (tmp_path / "srv.partial" / "mine").exists()


def test_another_file_of_the_same_name_stops_everything(capfd, bundle, tmp_path):
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv, "3.13-linux")
    path = srv / "20260101" / SYNTHETIC["linux"].filename
    path.write_bytes(b"other")
    before = tree_of(srv)
    done = run_kitbag(capfd, "export", bundle, "--to", srv)
    assert done.status == 2
    assert str(path) in done.err
    assert "--force" in done.err
    assert tree_of(srv) == before
    done = run_kitbag(capfd, "export", bundle, "--to", srv, "--force", "--json")
    actions = {each["key"]: each["action"] for each in done.json["builds"]}
    assert actions["cpython-3.13.5-linux-x86_64-gnu"] == "replaced"
    assert actions["pypy-3.11.15-linux-x86_64-gnu"] == "written"
    assert path.read_bytes() != b"other"


def test_another_archive_of_the_same_build_needs_force(capfd, tmp_path):
    key = BuildKey.parse(SYNTHETIC["linux"].key)
    bundles = []
    for suffix in ("linux", "linux-zip"):
        archive = make_synthetic_archive(suffix, tmp_path / "a")
        bundles.append(bundle_archives(tmp_path / f"{suffix}.kitbag", [(archive, key)]))
    run_kitbag(capfd, "export", bundles[0], "--to", tmp_path / "srv")
    done = run_kitbag(capfd, "export", bundles[1], "--to", tmp_path / "srv")
    assert (done.status, f"another archive of {key}" in done.err) == (2, True)
    done = run_kitbag(capfd, "export", bundles[1], "--to", tmp_path / "srv", "--force")
    assert done.status == 0
    (entry,) = json.loads((tmp_path / "srv/download-metadata.json").read_text()).values()
    assert entry["url"].endswith(".zip")


@pytest.mark.parametrize(
    ("name", "text"),
    [("download-metadata.json", "{"), ("download-metadata.json", "[]"), ("SHA256SUMS", "x\n"),
     ("SHA256SUMS", None)],
)  # fmt: skip
def test_a_damaged_list_is_not_guessed_at(capfd, bundle, tmp_path, name, text):
    run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "pypy")
    (tmp_path / "srv" / name).unlink()
    if text is not None:
        (tmp_path / "srv" / name).write_text(text)
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "pypy")
    assert (done.status, "--force" in done.err) == (3, True)
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "pypy", "--force")
    assert done.status == 0


def test_a_damaged_bundle_leaves_nothing(capfd, bundle, tmp_path):
    bad = tmp_path / "bad.kitbag"
    bad.write_bytes(bundle.read_bytes())
    damage(bad, f"archives/{SYNTHETIC['windows'].filename}")
    done = run_kitbag(capfd, "export", bad, "--to", tmp_path / "srv")
    assert (done.status, "SHA-256" in done.err) == (3, True)
    assert os.listdir(tmp_path) == ["bad.kitbag"]
    run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "graalpy")
    before = tree_of(tmp_path / "srv")
    assert run_kitbag(capfd, "export", bad, "--to", tmp_path / "srv", "3.13-windows").status == 3
    assert tree_of(tmp_path / "srv") == before


def test_what_a_killed_run_left_is_swept(capfd, bundle, tmp_path):
    partial = tmp_path / "srv.partial"
    (partial / "20260101").mkdir(parents=True)
    (partial / ".kitbag-unfinished").touch()
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv").status == 0
    assert files_of(tmp_path) == {f"srv/{path}" for path in PLACES | LISTS}
    pypy = tmp_path / "srv" / "pypy" / SYNTHETIC["pypy"].filename
    pypy.unlink()
    pypy.with_name(f"{pypy.name}.partial").write_bytes(b"half")
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv").status == 0
    assert files_of(tmp_path / "srv") == PLACES | LISTS


def test_two_at_a_time_are_told_apart(capfd, bundle, tmp_path):
    run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "pypy")
    handle = os.open(tmp_path / "srv", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv")
    os.close(handle)
    assert (done.status, "another kitbag exports to it" in done.err) == (1, True)


def test_a_stop_in_the_middle_leaves_nothing(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    program = (
        "import os, sys; from kitbag_installer import exportitems\n"
        "real = exportitems.written\n"
        "def slow(path):\n"
        "    os.kill(os.getpid(), 2)\n"
        "    return real(path)\n"
        "exportitems.written = slow\n"
        "from kitbag_installer.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "export", str(bundle), "--to", str(tmp_path / "srv")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["x.kitbag", "x.kitbag.archives"]


def test_a_place_that_cannot_be_written_is_one_line(capfd, bundle):
    place = next(path for path in ("/sys", "/proc") if os.path.isdir(path))
    done = run_kitbag(capfd, "export", bundle, "--to", f"{place}/srv")
    assert done.status == 1
    assert done.err.startswith(f"kitbag: error: {place}/srv")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    ["mirror.example/x", "ftp://h/x", "https://", "https://u:p@h/x", "https://h/x?a=b", "http://[",
     "http://h/#x"],
)  # fmt: skip
def test_a_base_url_is_an_address_without_secrets(capfd, bundle, tmp_path, url):
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "--base-url", url)
    assert (done.status, "u:p" in done.err) == (2, False)
    assert not (tmp_path / "srv").exists()


def test_what_is_not_there_is_said(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "3.9")
    assert (done.status, "it has cpython-3.13.5" in done.err) == (4, True)
    assert run_kitbag(capfd, "export", bundle).status == 2
    assert run_kitbag(capfd, "export", bundle, "--to", "").status == 2


def test_uvs_cache(capfd, bundle, tmp_path):
    for _ in range(2):
        done = run_kitbag(
            capfd, "export", bundle, "--to", tmp_path / "srv", "--uv-cache", tmp_path / "c"
        )
        assert done.status == 0
    names = os.listdir(tmp_path / "c")
    assert len(names) == len(NAMES)
    assert any(name[9:] == "-" + SYNTHETIC["linux"].filename.replace("+", "-") for name in names)


def test_what_uv_cannot_unpack_is_said(capfd, tmp_path):
    archive = make_synthetic_archive("pypy-bz2", tmp_path / "a")
    key = BuildKey.parse(SYNTHETIC["pypy-bz2"].key)
    bundle = bundle_archives(tmp_path / "x.kitbag", [(archive, key)])
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv")
    assert (done.status, "uv cannot unpack" in done.err) == (0, True)


def test_a_bundle_exports_itself(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(bundle), "export", "--to", str(tmp_path / "srv")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(host_key()) in done.stdout
    assert stat.S_IMODE((tmp_path / "srv" / "README.txt").stat().st_mode) & 0o444
