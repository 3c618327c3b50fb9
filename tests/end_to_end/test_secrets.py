"""An index that asks who is there: packed from with credentials, which nobody sees afterwards."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.bundle import Bundle
from support.commands import run_kitbag
from support.downloading import CERTIFICATES, PROXIES
from support.projects import make_project
from support.webserver import WebServer, serving
from support.wheels import make_wheel, pylock_of, sha256_of, simple_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.commands import Done

ME, SECRET = "somebody", "s3cret+of/mine"
QUOTED = "s3cret%2Bof%2Fmine"
FORMS = tuple(
    text.encode() for text in (SECRET, QUOTED, base64.b64encode(f"{ME}:{SECRET}".encode()).decode())
)


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "files"
    return [make_wheel(folder, "demo", requires=["leaf"]), make_wheel(folder, "leaf")]


@pytest.fixture
def index(wheels: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    for name in (*PROXIES, *CERTIFICATES, "NETRC", "UV_OFFLINE", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("KITBAG_HTTP_RETRIES", "1")
    with serving(simple_index(wheels), basic=f"{ME}:{SECRET}") as server:
        yield server


def below(index: WebServer, path: str, password: str = QUOTED) -> str:
    return index.url.replace("//", f"//{ME}:{password}@") + path


def hold_nothing(tmp_path: Path, done: Done, *given: Path) -> None:
    """No secret is in what was told, nor in any file that was made."""
    for text in (done.out, done.err):
        assert not [form for form in FORMS if form in text.encode()]
    for path in tmp_path.rglob("*"):
        if path.is_file() and path not in given:
            data = path.read_bytes()
            assert not [form for form in FORMS if form in data], path


WAYS = ("variable of uv", "pip's file", "netrc", "the requirements", "the lock", "named index")


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_is_kept(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    home: Path,
    wheels: list[Path],
    index: WebServer,
    way: str,
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    asked = given / "requirements.txt"
    hashed = [
        f"{each.name.partition('-')[0]}==1.0 --hash=sha256:{sha256_of(each)}" for each in wheels
    ]
    options: list[object] = ["--requirements", asked]
    if way == "variable of uv":
        monkeypatch.setenv("UV_DEFAULT_INDEX", below(index, "simple/"))
    elif way == "pip's file":
        conf = given / "pip.conf"
        conf.write_text(f"[global]\nindex-url = {below(index, 'simple/')}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(conf))
    elif way == "netrc":
        (given / "netrc").write_text(f"machine 127.0.0.1 login {ME} password {SECRET}\n")
        (given / "netrc").chmod(0o600)
        monkeypatch.setenv("NETRC", str(given / "netrc"))
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{index.url}simple/")
    elif way == "named index":
        monkeypatch.delenv("UV_NO_CONFIG")
        text = f'[[tool.uv.index]]\nname = "corp"\nurl = "{index.url}simple/"\ndefault = true\n'
        make_project(given / "app", "app", dependencies=["demo"], more=text)
        monkeypatch.setenv("UV_INDEX_CORP_USERNAME", ME)
        monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", SECRET)
        options = ["--project", given / "app"]
    elif way == "the lock":
        (given / "pylock.toml").write_text(pylock_of(wheels, below(index, "files/")))
        options = ["--lock", given / "pylock.toml"]
    else:
        hashed.insert(0, f"--index-url {below(index, 'simple/')}")
    asked.write_text("\n".join([*hashed, ""]))
    out = tmp_path / "app.kitbag"
    words = ["pack", "3.12", *options, "--wheelhouse-only", "--target", "linux-aarch64-gnu"]
    words += ["--cache-dir", tmp_path / "cache", "-o", out, "--json"]
    done = run_kitbag(capfd, *words)
    assert done.status == 0, done.err
    with Bundle.open(out) as bundle:
        urls = {each.filename: each.url for each in bundle.manifest.wheels}
    assert urls["demo-1.0-py3-none-any.whl"] == f"{index.url}files/demo-1.0-py3-none-any.whl"
    hold_nothing(tmp_path, done, *given.rglob("*"))


@pytest.mark.parametrize("kind", ["requirements", "lock"])
def test_a_refused_one_is_not_told(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wheels: list[Path],
    index: WebServer,
    kind: str,
) -> None:
    index.behave("/simple/demo/", basic="other:one")
    index.behave("/files/demo-1.0-py3-none-any.whl", basic="other:one")
    monkeypatch.setenv("UV_DEFAULT_INDEX", below(index, "simple/"))
    given = tmp_path / ("pylock.toml" if kind == "lock" else "requirements.txt")
    given.write_text(
        pylock_of(wheels, below(index, "files/"))
        if kind == "lock"
        else f"demo==1.0 --hash=sha256:{sha256_of(wheels[0])}\n"
    )
    words = ["pack", "3.12", f"--{kind}", given, "--wheelhouse-only", "--json"]
    words += ["--target", "linux-aarch64-gnu", "--cache-dir", tmp_path / "cache"]
    done = run_kitbag(capfd, *words, "-o", tmp_path / "app.kitbag")
    assert done.status == 1
    error = json.loads(done.out)["error"]
    assert "401" in error["message"]
    hold_nothing(tmp_path, done, given)


@pytest.mark.parametrize("in_the_list", [False, True], ids=["configured", "in the list"])
@pytest.mark.parametrize("kind", ["requirements", "lock"])
def test_a_recipe_and_its_lock(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wheels: list[Path],
    index: WebServer,
    kind: str,
    in_the_list: bool,
) -> None:
    """What was locked with credentials is packed with them, though the lock has none."""
    address = below(index, "simple/")
    option = f"--index-url {address}\n" if in_the_list else ""
    if not in_the_list:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    given = tmp_path / ("pylock.toml" if kind == "lock" else "requirements.txt")
    given.write_text(
        pylock_of(wheels, below(index, "files/"))
        if kind == "lock"
        else f"{option}leaf==1.0 --hash=sha256:{sha256_of(wheels[1])}\n"
    )
    recipe = tmp_path / "kitbag.toml"
    recipe.write_text(
        '[bundle]\npython = ["3.12"]\ntargets = ["linux-aarch64-gnu"]\nwheelhouse-only = true\n'
        f'[[environment]]\nname = "app"\n{kind} = "{given.name}"\n'
    )
    cache = ["--cache-dir", tmp_path / "cache"]
    locked = run_kitbag(capfd, "lock", "-f", recipe, *cache)
    assert locked.status == 0, locked.err
    hold_nothing(tmp_path, locked, given)
    packed = run_kitbag(
        capfd, "pack", "-f", recipe, "--locked", *cache, "-o", tmp_path / "app.kitbag"
    )
    assert packed.status == 0, packed.err
    assert (tmp_path / "app.kitbag").is_file()
    hold_nothing(tmp_path, packed, given)
