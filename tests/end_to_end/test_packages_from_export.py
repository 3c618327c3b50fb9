"""The real pip and the real uv install from what kitbag exports: from a path, from a web server."""

from __future__ import annotations

import contextlib
import ensurepip
import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.pylock import Pylock, is_valid_pylock_path

from kitbag_bundles.bundle import Bundle
from kitbag_installer.hosts import this_host
from support.bundled import tiny_bundle
from support.environments import environment_for, with_environments
from support.installed import bare_environment
from support.journey import ODD, kitbag
from support.require import require
from support.uvtool import uv_program
from support.wheels import make_wheel, module_text, newest_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"
BASE = str(getattr(sys, "_base_executable", sys.executable))
HOST = this_host()
TARGET = f"{HOST.os}-{HOST.arch.partition('_v')[0]}-{HOST.libc}"
EXPECTED = {"my-app": "1.0", "click": "8.1.7+local.1", "space-one": "2.0"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An application; one wheel has a local version, which an address must quote."""
    folder = tmp_path_factory.mktemp("wheels")
    return [
        make_wheel(
            folder, "My.App", "1.0",
            scripts={"my-app": "my_app:main"}, requires=["click>=8", "space.one"],
        ),
        make_wheel(folder, "click", "8.1.7+local.1", stored=True),
        make_wheel(
            folder, "space-one", "2.0",
            files={"space/one.py": "ONE = 1\n"}, tags=f"{TAG}-{TAG}-linux_{os.uname().machine}",
        ),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]) -> Path:
    """A wheelhouse for this Python, which also has other machines' wheels of the same project."""
    folder = tmp_path_factory.mktemp("bundle")
    other = make_wheel(folder, "click", "9.0", tags="py3-none-win_amd64")
    environments = [
        replace(environment_for("app", None, listed, target), python_version=MINOR)
        for target, listed in ((TARGET, wheels), ("windows-x86_64-none", [other]))
    ]
    return with_environments(
        folder / "app.kitbag",
        tiny_bundle(folder / "empty.kitbag"),
        {"app": [*wheels, other]},
        environments=environments,
    )


@pytest.fixture
def exported(tmp_path: Path, bundle: Path) -> Path:
    place = tmp_path / ODD
    kitbag("export", bundle, "--to", place)
    return place


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment of the Python that runs this, with nothing in it."""
    path = tmp_path / "venv"
    subprocess.run([BASE, "-I", "-m", "venv", "--without-pip", path], check=True)
    return path


def run(
    *command: str | Path, cwd: Path, status: int | None = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=bare_environment(
            PATH=f"{Path(BASE).parent}:/usr/bin:/bin",
            PIP_CONFIG_FILE=os.devnull,
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            UV_NO_CONFIG="1",
            UV_CACHE_DIR=str(cwd.parent / "uv-cache"),
            UV_HTTP_RETRIES="0",
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert status is None or done.returncode == status, (command, done.stdout, done.stderr)
    return done


def pip(venv: Path, *words: str | Path, cwd: Path, status: int | None = 0) -> str:
    """The pip that Python brings along, out of its wheel; returns all that it says."""
    wheel = newest_wheel(Path(ensurepip.__file__).parent / "_bundled", "pip")
    require(wheel, "needs a Python with the wheels of ensurepip")
    program = (sys.executable, f"{wheel}/pip", "--python", venv / "bin" / "python")
    done = run(*program, "--no-cache-dir", *words, cwd=cwd, status=status)
    return done.stdout + done.stderr


def uv(venv: Path, *words: str | Path, cwd: Path, status: int | None = 0) -> str:
    done = run(
        uv_program(), "pip", *words, "--python", venv / "bin" / "python", cwd=cwd, status=status
    )
    return done.stdout + done.stderr


def packages_in(venv: Path) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, re; print(json.dumps({re.sub('[-_.]+', '-', "
        "d.metadata['Name']).lower(): d.version for d in m.distributions()}))"
    )
    done = run(venv / "bin" / "python", "-I", "-c", code, cwd=venv)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def assert_installed(venv: Path) -> None:
    assert packages_in(venv) == EXPECTED
    assert run(venv / "bin" / "my-app", "hello", cwd=venv).stdout == "my_app 1.0 hello\n"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def send_response(self, code: int, message: str | None = None) -> None:
        self.server.answers.append((code, self.path))  # type: ignore[attr-defined]
        super().send_response(code, message)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """The server that README.txt has for a try: its address, and what it answered."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        answers: list[tuple[int, str]] = []
        server.answers = answers  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/", answers
        finally:
            server.shutdown()
            thread.join()


REQUIREMENTS = f"requirements-app-{TARGET}.txt"
LOCK = f"pylock.app-{TARGET}.toml"
FOUND: Sequence[str] = ("--no-index", "--find-links", "wheels", "--require-hashes")


class TestFromAPath:
    def test_pip(self, exported: Path, venv: Path) -> None:
        """As README.txt has it."""
        command = (
            f"pip install --no-index --find-links wheels --require-hashes \\\n    -r {REQUIREMENTS}"
        )
        assert command in (exported / "README.txt").read_text()
        pip(venv, "install", *FOUND, "-r", REQUIREMENTS, cwd=exported)
        assert_installed(venv)

    def test_uv_by_the_lock(self, exported: Path, venv: Path) -> None:
        assert f"uv pip sync --offline {LOCK}" in (exported / "README.txt").read_text()
        uv(venv, "sync", "--offline", LOCK, cwd=exported)
        assert_installed(venv)

    def test_uv_by_the_lock_from_anywhere(self, exported: Path, venv: Path) -> None:
        """Its paths are from where it lies, also after it was moved."""
        moved = exported.rename(exported.with_name("moved"))
        uv(venv, "sync", "--offline", moved / LOCK, cwd=venv)
        assert_installed(venv)

    def test_uv_by_requirements(self, exported: Path, venv: Path) -> None:
        uv(venv, "install", "--offline", *FOUND, "-r", REQUIREMENTS, cwd=exported)
        assert_installed(venv)

    @pytest.mark.parametrize("words", [("click",), ("my-app", "click>=8,<9")])
    def test_pip_by_names(self, exported: Path, venv: Path, words: Sequence[str]) -> None:
        """What is for other machines in the same folder is no hindrance."""
        pip(venv, "install", *FOUND[:3], *words, cwd=exported)
        assert packages_in(venv)["click"] == EXPECTED["click"]

    def test_uv_says_that_a_lock_is_for_another_machine(self, exported: Path, venv: Path) -> None:
        other = "pylock.app-windows-x86_64-none.toml"
        assert "not supported" in uv(venv, "sync", "--offline", other, cwd=exported, status=2)
        assert packages_in(venv) == {}


class TestFromTheIndexAsAFolder:
    """The pages are right without any server too."""

    def test_pip(self, exported: Path, venv: Path) -> None:
        index = (exported / "simple").as_uri()
        pip(venv, "install", "-i", index, "my-app", cwd=exported)
        assert_installed(venv)

    def test_uv(self, exported: Path, venv: Path) -> None:
        index = (exported / "simple").as_uri()
        uv(venv, "install", "--offline", "--default-index", index, "my-app", cwd=exported)
        assert_installed(venv)


class TestFromAServer:
    """One for plain files, which knows nothing of indexes."""

    def test_pip(self, exported: Path, venv: Path) -> None:
        with serving(exported) as (index, answers):
            pip(
                venv, "install", "-i", index, "--require-hashes",
                "-r", REQUIREMENTS, cwd=exported,
            )  # fmt: skip
            asked = {path for status, path in answers if status == 200}
        assert_installed(venv)
        assert any(path.startswith("/simple/my-app/") for path in asked)
        assert len([path for path in asked if path.endswith(".whl")]) == len(EXPECTED)

    def test_uv(self, exported: Path, venv: Path) -> None:
        with serving(exported) as (index, _):
            uv(
                venv, "install", "--default-index", index, "--require-hashes",
                "-r", REQUIREMENTS, cwd=exported,
            )  # fmt: skip
        assert_installed(venv)

    def test_names_alone(self, exported: Path, tmp_path: Path, venv: Path) -> None:
        """The index is a real one: dependencies are found in it, and hashes are checked."""
        with serving(exported) as (index, _):
            uv(venv, "install", "--default-index", index, "my-app", cwd=tmp_path)
            assert_installed(venv)
            pip(venv, "install", "-i", index, "--force-reinstall", "my_app",
                cwd=tmp_path)  # fmt: skip
        assert_installed(venv)

    def test_resolving_takes_no_wheel(self, exported: Path, tmp_path: Path, venv: Path) -> None:
        """The metadata is there by itself, for servers that can't send a part of a file."""
        with serving(exported) as (index, answers):
            uv(venv, "install", "--dry-run", "--default-index", index, "my-app", cwd=tmp_path)
        asked = [path for _, path in answers if "/wheels/" in path]
        assert len(asked) == len(EXPECTED)
        assert all(path.endswith(".whl.metadata") for path in asked)
        assert {status for status, _ in answers} == {200}

    def test_the_json_for_those_who_ask_for_it(self, exported: Path, tmp_path: Path) -> None:
        from urllib.parse import urljoin
        from urllib.request import urlopen

        with serving(exported) as (index, _):
            page = f"{index}click/index.json"
            with urlopen(page) as answer:
                table = json.load(answer)
            for each in table["files"]:
                with urlopen(urljoin(page, each["url"])) as answer:
                    assert len(answer.read()) == each["size"]


class TestOtherBytes:
    """A wheel that is not the one that was exported, but is a sound wheel."""

    @pytest.fixture
    def forged(self, exported: Path, tmp_path: Path) -> Path:
        text = module_text("click", "8.1.7+local.1").replace("import sys", "import os ")
        made = make_wheel(
            tmp_path / "forged", "click", "8.1.7+local.1", files={"click.py": text}, stored=True
        )
        assert made.stat().st_size == (exported / "wheels" / made.name).stat().st_size
        made.replace(exported / "wheels" / made.name)
        return exported

    def test_pip_refuses_it(self, forged: Path, venv: Path) -> None:
        said = pip(venv, "install", *FOUND, "-r", REQUIREMENTS, cwd=forged, status=1)
        assert "DO NOT MATCH THE HASHES" in said
        assert packages_in(venv) == {}

    def test_pip_refuses_it_from_the_index(self, forged: Path, venv: Path) -> None:
        """Also where nobody gave hashes: the index has them."""
        with serving(forged) as (index, _):
            said = pip(venv, "install", "-i", index, "click", cwd=forged, status=1)
        assert "DO NOT MATCH THE HASHES" in said
        assert packages_in(venv) == {}

    def test_uv_refuses_it_from_the_index(self, forged: Path, venv: Path) -> None:
        with serving(forged) as (index, _):
            said = uv(venv, "install", "--default-index", index, "click", cwd=forged, status=None)
        assert "Hash mismatch" in said
        assert packages_in(venv) == {}

    def test_uv_refuses_it(self, forged: Path, venv: Path) -> None:
        said = uv(venv, "sync", "--offline", LOCK, cwd=forged, status=None)
        assert "Hash mismatch" in said
        assert packages_in(venv) == {}

    def test_the_sums_tell_it(self, forged: Path) -> None:
        done = run("sha256sum", "-c", "--quiet", "SHA256SUMS", cwd=forged, status=1)
        assert done.stdout.splitlines() == ["wheels/click-8.1.7+local.1-py3-none-any.whl: FAILED"]


def test_packagings_reader_chooses_the_same(exported: Path, wheels: list[Path]) -> None:
    assert is_valid_pylock_path(exported / LOCK)
    lock = Pylock.from_dict(tomllib.loads((exported / LOCK).read_text()))
    chosen = {artifact.path for _, artifact in lock.select()}
    assert chosen == {f"wheels/{wheel.name}" for wheel in wheels}


def test_kitbag_packs_the_same_again(exported: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.kitbag"
    kitbag(
        "pack", MINOR, "--lock", exported / LOCK, "--wheelhouse-only", "--target", TARGET,
        "-o", out, "--cache-dir", tmp_path / "cache",
    )  # fmt: skip
    with Bundle.open(out) as again, Bundle.open(bundle) as before:
        (one,) = again.manifest.environments
        (first,) = (each for each in before.manifest.environments if each.target == TARGET)
        assert one.wheels == first.wheels
        digests = {wheel.filename: wheel.sha256 for wheel in before.manifest.wheels}
        for wheel in again.manifest.wheels:
            assert wheel.sha256 == digests[wheel.filename]
    done = run("sh", out, "--root", tmp_path / "root", cwd=tmp_path, status=5)
    assert len(done.stderr.splitlines()) == 1
    assert "has packages and no Python to install; 'kitbag export' writes them" in done.stderr
    kitbag("export", out, "--to", tmp_path / "twice")
    for name in (LOCK, REQUIREMENTS):
        assert (tmp_path / "twice" / name).read_bytes() == (exported / name).read_bytes()
