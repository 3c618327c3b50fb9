import pytest

from kitbag_bundles.bundle import Bundle
from support.bundled import host_key
from support.commands import run_kitbag
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.tiny import make_tiny_archive


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    return [make_synthetic_archive(name, folder) for name in ("linux", "macos-arm64")]


def test_what_is_said_of_a_bundle(capfd, archives, tmp_path):
    out = tmp_path / "x.kitbag"
    done = run_kitbag(capfd, "pack", "--from", archives[1], "--from", archives[0], "-o", out, "-q")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith(f"Packed 2 builds into {out} (")
    assert lines[1].startswith(f" + {SYNTHETIC['linux'].key} (")
    assert lines[2].startswith(f" + {SYNTHETIC['macos-arm64'].key} (")
    assert lines[1].endswith(" unpacked)")
    with Bundle.open(out) as bundle:
        assert bundle.manifest.name == "python"
    import hashlib

    assert lines[3] == f"sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}"


def test_json(capfd, archives, tmp_path):
    out = tmp_path / "x.kitbag"
    words = ("--name", "edge", "--bundle-version", "7", "--json")
    found = run_kitbag(capfd, "pack", "--from", archives[0], "-o", out, *words).json
    assert found["bundle"] == str(out)
    assert found["size"] == out.stat().st_size
    assert len(found["sha256"]) == 64
    assert found["manifest"]["bundle"]["name"] == "edge"
    assert found["manifest"]["bundle"]["version"] == "7"
    assert found["manifest"]["build"][0]["key"] == SYNTHETIC["linux"].key


def test_a_directory(capfd, archives, tmp_path):
    out = tmp_path / "folder"
    done = run_kitbag(capfd, "pack", "--from", archives[0], "-o", out, "--format", "dir", "-q")
    assert done.status == 0
    assert "sha256" not in done.out
    assert (out / "archives" / archives[0].name).is_file()
    assert run_kitbag(capfd, "verify", out).status == 0


def test_the_key_of_one_build(capfd, tmp_path):
    archive = make_tiny_archive(tmp_path / "a")
    words = ("pack", "--from", archive, "-o", tmp_path / "x", "--key", host_key())
    done = run_kitbag(capfd, *words)
    assert done.status == 0
    assert f" + {host_key()} (" in done.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "nothing to pack; name builds (3.13, pypy3.11), --from PATH or -f kitbag.toml"),
        (("-o", "x"), 2, "nothing to pack; name builds (3.13, pypy3.11), --from PATH"),
        (("3.13",), 2, "name the bundle to write with -o FILE"),
        (("3.13", "-o", ""), 2, "name the bundle to write with -o FILE"),
        (("three", "-o", "x"), 2, "'three' names no Python"),
        (("--target", "all", "--from", "y", "-o", "x"), 2, "--target goes with a request"),
        (("3.13", "-f", "x.toml"), 2, "a recipe says itself what to pack"),
        (("-f", "x.toml", "--allow-unverified"), 2, "a recipe says itself whether to"),
        (("--locked",), 2, "kitbag.toml: no such file"),
        (("-f", "x.toml", "--lock", "y"), 2, "a recipe says itself which packages to bring"),
        (("-f", "x.toml", "--glibc", "2.17"), 2, "([[environment]]); leave out --glibc"),
        (("--project", ".", "-o", "x"), 2, "name the Python that the packages are for, such as"),
        (("3.13", "--extra", "x", "-o", "x"), 2, "--extra goes with --project, --lock or --req"),
        (("3.13", "--lock", "a", "--requirements", "b", "-o", "x"), 2, "--lock and --requirements"),
        (("3.13", "--project", "", "-o", "x"), 2, "--project is empty; name a directory"),
        (("3.13", "--lock", "", "-o", "x"), 2, "--lock is empty; name a file"),
        (("3.13", "--wheelhouse-only", "-o", "x"), 2, "--wheelhouse-only goes with --project, --l"),
        (
            ("latest", "--wheelhouse-only", "--lock", "a", "-o", "x"),
            2,
            "'latest': a wheelhouse is for a version of CPython; write 3.13 or 3.13.5",
        ),
        (
            ("3.13", "--wheelhouse-only", "--lock", "a", "-o", "x", "--target", "all"),
            2,
            "a wheelhouse is for named targets",
        ),
        (
            ("3.13", "--wheelhouse-only", "--lock", "a", "-o", "x", "--from", "y"),
            2,
            "--wheelhouse-only packs no builds; leave out --from and --bytecode",
        ),
        (("3.13", "--lock", "a", "--expose", "/x", "-o", "x"), 2, "--expose: '/x' is no name of a"),
        (
            ("3.13", "--lock", "/nothing/pylock.toml", "--wheelhouse-only", "-o", "x"),
            2,
            "/nothing/pylock.toml can't be read (No such file",
        ),
        (("-f", "x.toml", "--relock"), 2, "--relock goes with --locked"),
        (("3.13", "-o", "x", "--jobs", "none"), 2, "'none' is no number of jobs"),
        (("3.13", "-o", "x", "--limit-rate", "fast"), 2, "--limit-rate 'fast' is no rate"),
        (("3.13", "-o", "x", "--limit-rate", "9" * 400), 2, "is no rate"),
        (("3.13", "-o", "x", "--jobs", "9" * 5000), 2, "is no number of jobs"),
        (("3.13", "-o", "x", "--cache-dir", ""), 2, "--cache-dir is empty"),
        (("3.13", "-o", "x", "--key", "cpython-3.13.5-linux-x86_64-gnu"), 2, "one --from"),
        (("-o", "x", "--from", "/nothing"), 2, "/nothing: no such file or command"),
        (("-o", "x", "--from", "/nothing", "--key", "odd"), 2, "'odd' is not a build key"),
        (("-o", "x", "--format", "rar"), 2, "invalid choice: 'rar'"),
        (("-o", "/nothing/x", "--from", "/nothing"), 2, "/nothing: no such directory; make it"),
    ],
)
def test_errors(capfd, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    done = run_kitbag(capfd, "pack", *words)
    assert (done.status, done.out) == (status, "")
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_is_an_integrity_error(capfd, archives, tmp_path):
    cut = tmp_path / archives[0].name
    cut.write_bytes(archives[0].read_bytes()[:-40])
    done = run_kitbag(capfd, "pack", "--from", cut, "-o", tmp_path / "x", "--json")
    assert done.status == 3
    assert done.json["error"]["code"] == "archive"
    assert not (tmp_path / "x").exists()
