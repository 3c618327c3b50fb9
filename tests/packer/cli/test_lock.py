import hashlib
import json
import tomllib

import pytest

from kitbag_bundles import __version__
from support.commands import run_kitbag
from support.recipes import LINUX, WINDOWS, an_offer

RECIPE = """\
[bundle]
python = ["3.13"]
targets = ["linux-x86_64-gnu", "windows-x86_64"]
catalogs = ["list.json"]
"""
OLD = (an_offer("3.13.5"), an_offer("3.13.5", WINDOWS))
NEW = (*OLD, an_offer("3.13.6", size=27_700_000), an_offer("3.12.9"), an_offer("3.12.9", WINDOWS))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kitbag.toml").write_text(RECIPE)
    catalog(tmp_path, OLD)
    return tmp_path


def catalog(folder, offers) -> None:
    """An index of releases, one file in each line."""
    lines = []
    for offer in offers:
        version = str(offer.key.version)
        artifact = {
            "url": offer.canonical,
            "size": offer.size,
            "sha256": offer.sha256,
            "platform": offer.filename.removeprefix(f"cpython-{version}+20260101-").removesuffix(
                "-install_only_stripped.tar.gz"
            ),
            "variant": "install_only_stripped",
        }
        lines.append({"version": f"{version}+20260101", "artifacts": [artifact]})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "list.json").write_text(text)


def test_what_is_said_of_a_lock(capfd, folder):
    done = run_kitbag(capfd, "lock")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "Locked 2 builds (2.0 kB) in kitbag.lock",
        f" + cpython-3.13.5-{LINUX} (3.13; 1.0 kB)",
        f" + cpython-3.13.5-{WINDOWS} (3.13; 1.0 kB)",
    ]
    before = (folder / "kitbag.lock").stat()
    catalog(folder, NEW)
    done = run_kitbag(capfd, "lock")
    assert done.out.splitlines() == [
        "Unchanged: 2 builds (2.0 kB) in kitbag.lock",
        f" = cpython-3.13.5-{LINUX} (3.13; 1.0 kB)",
        f" = cpython-3.13.5-{WINDOWS} (3.13; 1.0 kB)",
    ]
    assert (folder / "kitbag.lock").stat() == before
    recipe = RECIPE.replace('"windows-x86_64"', "").replace('"3.13"', '"3.13", "3.12"')
    (folder / "kitbag.toml").write_text(recipe)
    done = run_kitbag(capfd, "lock", "--upgrade")
    assert done.out.splitlines() == [
        "Locked 2 builds (27.7 MB) in kitbag.lock",
        f" + cpython-3.12.9-{LINUX} (3.12; 1.0 kB)",
        f" - cpython-3.13.5-{WINDOWS}",
        f" ~ cpython-3.13.6-{LINUX} (3.13; 27.7 MB), was 3.13.5",
    ]


def test_the_same_text_wherever_it_is_made(capfd, folder, tmp_path_factory, monkeypatch):
    assert run_kitbag(capfd, "lock").status == 0
    other = tmp_path_factory.mktemp("elsewhere")
    (other / "edge.toml").write_text(RECIPE)
    catalog(other, OLD)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert run_kitbag(capfd, "lock", "-f", other / "edge.toml").status == 0
    assert (other / "edge.lock").read_bytes() == (folder / "kitbag.lock").read_bytes()
    table = tomllib.loads((other / "edge.lock").read_text())
    digest = hashlib.sha256((other / "list.json").read_bytes()).hexdigest()
    assert table["catalog"] == [{"name": "list.json", "sha256": digest, "date": ""}]


def test_json(capfd, folder):
    found = run_kitbag(capfd, "lock", "--json").json
    assert found["recipe"] == str(folder / "kitbag.toml")
    assert found["lock"] == str(folder / "kitbag.lock")
    assert found["changed"] is True
    assert [each["key"] for each in found["added"]] == [
        f"cpython-3.13.5-{LINUX}",
        f"cpython-3.13.5-{WINDOWS}",
    ]
    assert found["added"][0]["sha256"] == OLD[0].sha256
    assert found["removed"] == found["updated"] == found["kept"] == []
    catalog(folder, NEW)
    found = run_kitbag(capfd, "lock", "--upgrade", "--json").json
    (update,) = found["updated"]
    assert (update["from"]["filename"], update["to"]["filename"]) == (
        OLD[0].filename,
        NEW[2].filename,
    )
    assert len(found["kept"]) == 1
    found = run_kitbag(capfd, "lock", "--check", "--json").json
    assert found["builds"] == [f"cpython-3.13.5-{WINDOWS}", f"cpython-3.13.6-{LINUX}"]


def test_check_writes_nothing_and_says_where(capfd, folder):
    done = run_kitbag(capfd, "lock", "--check", "--json")
    assert (done.status, done.json["error"]["code"]) == (2, "stale-lock")
    assert "there is no lock" in done.err
    assert run_kitbag(capfd, "lock", "-q").status == 0
    done = run_kitbag(capfd, "lock", "--check")
    assert (done.status, done.out) == (0, "kitbag.lock: fits; 2 builds (2.0 kB)\n")
    (folder / "kitbag.toml").write_text(RECIPE.replace("3.13", "3.12"))
    before = (folder / "kitbag.lock").read_bytes()
    done = run_kitbag(capfd, "lock", "--check")
    assert done.status == 2
    assert f"'3.12' on {LINUX} is not locked" in done.err
    assert (folder / "kitbag.lock").read_bytes() == before


def test_a_lock_of_another_kitbag(capfd, folder):
    assert run_kitbag(capfd, "lock").status == 0
    path = folder / "kitbag.lock"
    ours = path.read_text()
    path.write_text(ours.replace(f'kitbag = "{__version__}"', 'kitbag = "0.0.1"'))
    done = run_kitbag(capfd, "lock", "--check")
    assert done.status == 2
    assert f"made by kitbag 0.0.1, and this is {__version__}" in done.err
    done = run_kitbag(capfd, "lock", "--catalog", "embedded", "--offline")
    assert done.out.splitlines()[-1] == f"for kitbag {__version__}, was 0.0.1"
    assert path.read_text() == ours


def test_a_damaged_lock_can_be_made_again(capfd, folder):
    path = folder / "kitbag.lock"
    path.write_text("version = 9")
    done = run_kitbag(capfd, "lock")
    assert done.status == 2
    assert "make it again with kitbag lock --upgrade" in done.err
    assert path.read_text() == "version = 9"
    assert run_kitbag(capfd, "lock", "--upgrade").status == 0
    assert run_kitbag(capfd, "lock", "--check").status == 0


def test_an_option_beats_the_environment_and_that_the_recipe(capfd, folder, monkeypatch):
    (folder / "others").mkdir()
    catalog(folder / "others", NEW)
    monkeypatch.setenv("KITBAG_CATALOG", "nowhere.json")
    done = run_kitbag(capfd, "lock")
    assert done.status == 2
    assert "nowhere.json" in done.err
    assert not (folder / "kitbag.lock").exists()
    assert run_kitbag(capfd, "lock", "--catalog", "others/list.json").status == 0
    assert "3.13.6" in (folder / "kitbag.lock").read_text()


def test_the_schema(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run_kitbag(capfd, "lock", "--print-schema").json
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "kitbag.toml: no such file; write a recipe, or name one with -f FILE"),
        (("-f", "x.lock"), 2, "x.lock: a lock, not a recipe"),
        (("-f", ""), 2, "is no recipe"),
        (("--check", "--upgrade"), 2, "not allowed with argument"),
        (("3.13",), 2, "unrecognized arguments: 3.13"),
    ],
)
def test_errors(capfd, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    done = run_kitbag(capfd, "lock", *words)
    assert (done.status, done.out) == (status, "")
    assert message in done.err
    assert list(tmp_path.iterdir()) == []
