"""kitbag export of packages: the tree, adding to it, and what is refused."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from kitbag_bundles.bundle import Bundle
from support.bundled import host_key, tiny_bundle, tree_of
from support.commands import run_kitbag
from support.environments import environment_for, with_environments
from support.require import require_command
from support.wheels import make_wheel, sha256_of

INDEX = {"simple/index.html", "simple/index.json"}
LISTS = {"download-metadata.json", "download-metadata-direct.json"}
FILES = ("", ".metadata")
ALWAYS = {"README.txt", "SHA256SUMS"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return {
        "app": make_wheel(folder, "My.App", "1.0", scripts={"app": "my_app:main"}),
        "click": make_wheel(folder, "click", "8.1.7"),
        "far": make_wheel(folder, "far", "2.0+local.1", tags="cp313-cp313-win_amd64"),
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("base") / "x.kitbag", "3.13.5")


@pytest.fixture(scope="module")
def bundle(base, wheels):
    """Two environments, which share a wheel."""
    listed = {"app": [wheels["app"], wheels["click"]], "tools": [wheels["click"]]}
    return with_environments(base.with_name("both.kitbag"), base, listed)


@pytest.fixture(scope="module")
def empty(base, tmp_path_factory):
    """A bundle without builds."""
    path = tmp_path_factory.mktemp("empty") / "x.kitbag"
    return tiny_bundle(path)


@pytest.fixture(scope="module")
def wheelhouse(empty, wheels):
    environments = [
        environment_for("app", None, [wheels["click"]], "linux-x86_64-gnu"),
        environment_for("app", None, [wheels["click"], wheels["far"]], "windows-x86_64-none"),
    ]
    return with_environments(
        empty.with_name("wheels.kitbag"),
        empty,
        {"app": [wheels["click"], wheels["far"]]},
        environments=environments,
    )


def files_of(folder):
    return {path for path, (kind, _, _) in tree_of(folder).items() if kind == "f"}


def texts(*labels):
    return {f"requirements-{each}.txt" for each in labels} | {
        f"pylock.{each.replace('.', '_')}.toml" for each in labels
    }


def pages(*projects):
    return INDEX | {f"simple/{each}/index.{kind}" for each in projects for kind in ("html", "json")}


def label(name):
    return f"{name}-{host_key().target}"


def test_the_tree(capfd, bundle, wheels, tmp_path):
    srv = tmp_path / "srv"
    done = run_kitbag(capfd, "export", bundle, "--to", srv, "--json")
    assert done.status == 0, done.err
    table = done.json
    (build,) = table["builds"]
    here = {f"wheels/{wheels[name].name}" for name in ("app", "click")}
    assert files_of(srv) == {
        *(here | ALWAYS | LISTS | {build["path"]}),
        *(f"{place}.metadata" for place in here),
        *texts(label("app"), label("tools")),
        *pages("my-app", "click"),
    }
    assert table["index"] == f"{srv.as_uri()}/simple/"
    assert [each["path"] for each in table["wheels"]] == sorted(here)
    for each in table["wheels"]:
        assert sha256_of(srv / each["path"]) == each["sha256"]
        assert (srv / each["path"]).stat().st_size == each["size"]
    assert [each["name"] for each in table["environments"]] == ["app", "tools"]
    assert {each["action"] for each in table["environments"] + table["wheels"]} == {"written"}
    one = table["environments"][1]
    assert one == {
        "name": "tools",
        "target": str(host_key().target),
        "python": str(host_key()),
        "python-version": "3.13.5",
        "action": "written",
        "requirements": f"requirements-{label('tools')}.txt",
        "lock": f"pylock.{label('tools')}.toml",
        "wheels": [wheels["click"].name],
    }
    readme = (srv / "README.txt").read_text("ascii")
    assert f"-r requirements-{label('app')}.txt" in readme
    assert "uv python install" in readme


def test_the_sums_are_those_of_the_stock_tool(capfd, bundle, tmp_path):
    require_command("sha256sum")
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv").status == 0
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"],
        cwd=tmp_path / "srv", capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    listed = {line[66:] for line in (tmp_path / "srv/SHA256SUMS").read_text().splitlines()}
    assert listed == files_of(tmp_path / "srv") - {"SHA256SUMS"}


def test_people_are_told_how_pip_finds_it(capfd, bundle, tmp_path):
    srv = tmp_path / "a b"
    done = run_kitbag(capfd, "export", bundle, "--to", srv, "tools")
    assert done.out.startswith("Exported 1 environment, 1 wheel (")
    assert f" + tools for {host_key()} (pylock.{label('tools')}.toml)\n" in done.out
    assert (
        f"pip install --no-index --find-links '{srv}/wheels' --require-hashes "
        f"-r '{srv}/requirements-{label('tools')}.txt'" in done.err
    )
    assert "--python-downloads-json-url" not in done.err
    done = run_kitbag(capfd, "export", bundle, "--to", srv)
    assert done.out.startswith("Exported 1 build, 2 environments, 2 wheels (")
    assert f" = tools for {host_key()}" in done.out
    assert "-r one of its requirements-*.txt" in done.err
    assert "--python-downloads-json-url" in done.err


def test_words_choose(capfd, bundle, wheels, tmp_path):
    """As with an install: a name means packages, a request means builds."""
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "one", "tools", "--json")
    assert done.json["builds"] == []
    assert done.json["list"] == ""
    assert files_of(tmp_path / "one") == {
        *(ALWAYS | texts(label("tools")) | pages("click")),
        f"wheels/{wheels['click'].name}",
        f"wheels/{wheels['click'].name}.metadata",
    }
    assert "uv python" not in (tmp_path / "one" / "README.txt").read_text()
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "two", "3.13", "--json")
    assert (done.json["environments"], done.json["wheels"], done.json["index"]) == ([], [], "")
    assert not (tmp_path / "two" / "simple").exists()
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "three", "3.13", "app", "tools")
    run_kitbag(capfd, "export", bundle, "--to", tmp_path / "all")
    assert files_of(tmp_path / "three") == files_of(tmp_path / "all")
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "four", "other")
    assert (done.status, "no environment 'other'; it has app, tools" in done.err) == (4, True)
    assert not (tmp_path / "four").exists()


def test_a_wheelhouse(capfd, wheelhouse, wheels, tmp_path):
    srv = tmp_path / "srv"
    done = run_kitbag(capfd, "export", wheelhouse, "--to", srv)
    assert done.status == 0, done.err
    assert done.out.startswith("Exported 2 environments, 2 wheels (")
    assert " + app for 3.13 on windows-x86_64-none (pylock.app-windows-x86_64-none" in done.out
    assert files_of(srv) == {
        *(ALWAYS | pages("click", "far")),
        *texts("app-linux-x86_64-gnu", "app-windows-x86_64-none"),
        *(f"wheels/{wheels[name].name}{end}" for name in ("click", "far") for end in FILES),
    }
    # Its name alone tells that it is an export, and may be added to.
    assert run_kitbag(capfd, "export", wheelhouse, "--to", srv).status == 0


@pytest.mark.parametrize("words", [(), ("app",), ("3.13",), ("--dry-run",)])
def test_a_wheelhouse_can_not_be_installed(capfd, wheelhouse, tmp_path, words):
    done = run_kitbag(capfd, "install", wheelhouse, "--root", tmp_path / "root", *words)
    assert done.status == 5
    assert len(done.err.splitlines()) == 1
    assert f"{wheelhouse} has packages and no Python to install; 'kitbag export'" in done.err
    assert not (tmp_path / "root").exists()


def test_a_wheelhouse_is_shown_and_verified(capfd, wheelhouse):
    assert "environment app" in run_kitbag(capfd, "show", wheelhouse).out
    assert "2 environments, 2 wheels" in run_kitbag(capfd, "verify", wheelhouse).out


def test_same_bundle_same_bytes_and_nothing_touched_again(capfd, bundle, tmp_path):
    where = ("--base-url", "http://h/p")
    for name in ("one", "two"):
        run_kitbag(capfd, "export", bundle, "--to", tmp_path / name, *where)
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")
    before = {p: p.stat().st_ino for p in (tmp_path / "one").rglob("*")}
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "one", *where, "--json")
    actions = {each["action"] for key in ("builds", "wheels", "environments")
               for each in done.json[key]}  # fmt: skip
    assert actions == {"present"}
    assert {p: p.stat().st_ino for p in (tmp_path / "one").rglob("*")} == before


@pytest.mark.parametrize("order", [("app", "tools", "3.13"), ("3.13", "tools", "app")])
def test_adding_gives_the_same_as_all_at_once(capfd, bundle, tmp_path, order):
    where = ("--base-url", "https://mirror.example/python")
    run_kitbag(capfd, "export", bundle, "--to", tmp_path / "all", *where)
    for word in order:
        done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "bits", *where, word)
        assert done.status == 0, done.err
    assert tree_of(tmp_path / "all") == tree_of(tmp_path / "bits")


def test_other_packages_for_the_same_environment_need_force(capfd, base, bundle, wheels, tmp_path):
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv)
    newer = make_wheel(tmp_path, "click", "9.0")
    other = with_environments(tmp_path / "newer.kitbag", base, {"tools": [newer]})
    before = tree_of(srv)
    done = run_kitbag(capfd, "export", other, "--to", srv)
    assert done.status == 2
    assert f"{srv}/requirements-{label('tools')}.txt is there and names other wheels" in done.err
    assert tree_of(srv) == before
    done = run_kitbag(capfd, "export", other, "--to", srv, "--force", "--json")
    assert [each["action"] for each in done.json["environments"]] == ["replaced"]
    table = json.loads((srv / "simple/click/index.json").read_text())
    assert table["versions"] == ["8.1.7", "9.0"]
    assert "click==9.0" in (srv / f"requirements-{label('tools')}.txt").read_text()


def test_another_way_to_write_the_same_is_no_other_environment(capfd, bundle, tmp_path):
    """What an older kitbag wrote is brought up to date."""
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv)
    path = srv / f"pylock.{label('tools')}.toml"
    path.write_text(path.read_text().replace('created-by = "kitbag"', 'created-by = "older"'))
    done = run_kitbag(capfd, "export", bundle, "--to", srv, "--json")
    actions = {each["name"]: each["action"] for each in done.json["environments"]}
    assert actions == {"app": "present", "tools": "replaced"}
    assert 'created-by = "kitbag"' in path.read_text()


def test_another_file_in_the_place_of_a_wheel_stops_everything(capfd, bundle, wheels, tmp_path):
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv, "tools")
    path = srv / "wheels" / wheels["click"].name
    path.write_bytes(b"other")
    before = tree_of(srv)
    done = run_kitbag(capfd, "export", bundle, "--to", srv)
    assert done.status == 2
    assert f"{path} is there and is not the wheel that the bundle has; --force" in done.err
    assert tree_of(srv) == before
    done = run_kitbag(capfd, "export", bundle, "--to", srv, "--force", "--json")
    actions = {each["filename"]: each["action"] for each in done.json["wheels"]}
    assert actions == {wheels["app"].name: "written", wheels["click"].name: "replaced"}
    assert sha256_of(path) == sha256_of(wheels["click"])


def test_a_wheel_that_was_taken_away_is_not_offered(capfd, bundle, wheels, tmp_path):
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv, "app")
    (srv / "wheels" / wheels["app"].name).unlink()
    run_kitbag(capfd, "export", bundle, "--to", srv, "3.13")
    projects = json.loads((srv / "simple/index.json").read_text())["projects"]
    assert projects == [{"name": "click"}]


def test_a_wheel_without_metadata_is_in_the_index_all_the_same(capfd, empty, tmp_path):
    bad = make_wheel(tmp_path, "odd", info="a.dist-info/b")
    good = make_wheel(tmp_path, "good", requires_python="<4,>=3.9")
    bundle = with_environments(tmp_path / "x.kitbag", empty, {"app": [bad, good]}, environments=[
        environment_for("app", None, [bad, good], "linux-x86_64-gnu"),
    ])  # fmt: skip
    srv = tmp_path / "srv"
    assert run_kitbag(capfd, "export", bundle, "--to", srv).status == 0
    (told,) = json.loads((srv / "simple/good/index.json").read_text())["files"]
    beside = srv / "wheels" / f"{good.name}.metadata"
    assert told["core-metadata"] == {"sha256": sha256_of(beside)}
    assert told["requires-python"] == "<4,>=3.9"
    assert b"Name: good\n" in beside.read_bytes()
    (told,) = json.loads((srv / "simple/odd/index.json").read_text())["files"]
    assert set(told) == {"filename", "hashes", "size", "url"}
    assert not (srv / "wheels" / f"{bad.name}.metadata").exists()


@pytest.mark.parametrize("made", [True, False])
def test_a_damaged_wheel_leaves_nothing(capfd, bundle, wheels, tmp_path, made):
    bad = tmp_path / "bad.kitbag"
    data = bytearray(bundle.read_bytes())
    with Bundle.open(bundle) as opened:
        (wheel,) = (w for w in opened.manifest.wheels if w.filename == wheels["click"].name)
        data[opened.wheel_location(wheel).offset + 40] ^= 1
    bad.write_bytes(data)
    srv = tmp_path / "srv"
    if made:
        run_kitbag(capfd, "export", bundle, "--to", srv, "3.13")
    before = tree_of(tmp_path)
    done = run_kitbag(capfd, "export", bad, "--to", srv, "tools")
    assert (done.status, f"wheels/{wheel.filename} does not have its SHA-256" in done.err) == (
        3,
        True,
    )
    assert tree_of(tmp_path) == before


def test_a_damaged_volume_is_named(capfd, base, tmp_path):
    big = make_wheel(tmp_path / "w", "big", files={"big.bin": random.Random(1).randbytes(200_000)})
    whole = with_environments(tmp_path / "big.kitbag", base, {"big": [big]})
    stick = tmp_path / "stick"
    stick.mkdir()
    words = ("split", whole, "--volume-size", "64KiB", "-o", stick / "big.kitbag")
    assert run_kitbag(capfd, *words).status == 0
    with Bundle.open(stick / "big.kitbag.001") as opened:
        (wheel,) = opened.manifest.wheels
        part, offset = divmod(opened.wheel_location(wheel).offset + 100_000, 65536)
    path = sorted(stick.glob("big.kitbag.0*"))[part]
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    done = run_kitbag(capfd, "export", stick / "big.kitbag.001", "--to", tmp_path / "srv")
    assert (done.status, path.name in done.err) == (3, True)
    assert not (tmp_path / "srv").exists()


def test_what_a_killed_run_left_is_gone_on_with(capfd, bundle, wheels, tmp_path):
    """Wheels come before the texts that name them, and half of one counts for nothing."""
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv)
    whole = tree_of(srv)
    for place in (*pages("my-app"), f"requirements-{label('app')}.txt"):
        (srv / place).unlink()
    wheel = srv / "wheels" / wheels["app"].name
    wheel.rename(wheel.with_name(f"{wheel.name}.partial"))
    done = run_kitbag(capfd, "export", bundle, "--to", srv)
    assert done.status == 0, done.err
    assert tree_of(srv) == whole


def test_a_lost_index_is_made_again_but_lost_sums_are_told(capfd, bundle, tmp_path):
    srv = tmp_path / "srv"
    run_kitbag(capfd, "export", bundle, "--to", srv, "tools")
    (srv / "SHA256SUMS").unlink()
    done = run_kitbag(capfd, "export", bundle, "--to", srv, "tools")
    assert (done.status, "--force" in done.err) == (3, True)
    assert run_kitbag(capfd, "export", bundle, "--to", srv, "tools", "--force").status == 0
    run_kitbag(capfd, "export", bundle, "--to", srv)
    (srv / "download-metadata.json").unlink()
    assert run_kitbag(capfd, "export", bundle, "--to", srv).status == 3


def test_two_names_that_one_lock_would_have(capfd, base, wheels, tmp_path):
    names = {"a.b": [wheels["click"]], "a_b": [wheels["app"]]}
    bundle = with_environments(tmp_path / "x.kitbag", base, names)
    done = run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv")
    assert (done.status, "cannot be exported as a whole" in done.err) == (3, True)
    assert run_kitbag(capfd, "export", bundle, "--to", tmp_path / "srv", "a.b").status == 0


def test_a_bundle_exports_its_own_packages(bundle, tmp_path):
    """With the kitbag that it carries, and the standard library alone."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(bundle), "export", "tools", "--to",
         str(tmp_path / "srv")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "srv" / f"pylock.{label('tools')}.toml").is_file()
