"""uv as a subprocess: what it sees, what becomes of its errors, and how it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import Interrupted, KitbagError, UsageError
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.uvtool import Answer, Uv, condensed, find_uv, surroundings
from kitbag_packer.errors import OfflineError, ResolverError
from support.uvtool import uv_program

if TYPE_CHECKING:
    from pathlib import Path


def stand_in(folder: Path, text: str) -> str:
    """A program that is called instead of uv."""
    path = folder / "uv"
    path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{text}\n")
    path.chmod(0o755)
    return str(path)


class TestFinding:
    def test_the_package_beside_kitbag(self) -> None:
        assert os.path.samefile(find_uv({}), uv_program())

    def test_on_the_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "uv", None)
        program = stand_in(tmp_path, "")
        assert find_uv({"PATH": str(tmp_path)}) == program

    def test_nowhere_is_one_line_with_advice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "uv", None)
        with pytest.raises(UsageError, match=r"there is no uv here.*pip install uv.*--lock"):
            Uv(environ={"PATH": str(tmp_path)}).run(["lock"], tmp_path)

    def test_one_that_does_not_start(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="can't be started"):
            Uv(environ={}, program=str(tmp_path / "none")).run([], tmp_path)


class TestSurroundings:
    def test_are_bounded(self) -> None:
        seen = surroundings(
            {
                "PATH": "/bin",
                "https_proxy": "http://p",
                "UV_INDEX": "x",
                "UV_FROZEN": "1",
                "UV_PYTHON": "3.9",
                "UV_PYTHON_INSTALL_DIR": "/p",
                "PYTHONPATH": "/lib",
                "VIRTUAL_ENV": "/v",
                "AWS_SECRET_ACCESS_KEY": "k",
            }
        )
        assert seen == {
            "PATH": "/bin",
            "https_proxy": "http://p",
            "UV_INDEX": "x",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def test_of_a_run(self, tmp_path: Path) -> None:
        program = stand_in(tmp_path, "print(os.getcwd(), sys.argv[1:], sorted(os.environ))")
        uv = Uv(environ={"HOME": "/h", "LANGUAGE": "de"}, offline=True, program=program)
        answer = uv.run(["lock"], tmp_path, {"MORE": "1"})
        assert answer.status == 0
        assert f"{tmp_path} ['lock', '--no-progress', '--offline']" in answer.out
        assert "'HOME'" in answer.out
        assert "'MORE'" in answer.out
        assert "LANGUAGE" not in answer.out

    def test_offline_may_be_said_by_the_environment(self) -> None:
        assert Uv(environ={"UV_OFFLINE": "true"}).offline
        assert not Uv(environ={"UV_OFFLINE": "0"}).offline


class TestErrors:
    def test_causes_and_a_hint_in_one_line(self) -> None:
        err = (
            "Using CPython 3.11.7 interpreter at: /usr/bin/python3\nwarning: of something\n"
            "error: No solution found when resolving dependencies\n"
            "  cause: Because demo was not found\n"
            "         and you require demo==1.0, it is unsatisfiable.\n\n"
            "hint: An index could not be queried.\n"
        )
        assert condensed(err) == (
            "No solution found when resolving dependencies: Because demo was not found and you "
            "require demo==1.0, it is unsatisfiable (An index could not be queried)"
        )

    def test_the_form_of_older_ones(self) -> None:
        cross, corner, bar = "\N{MULTIPLICATION SIGN}", "\u2570\u2500\u25b6", "\u2502"
        err = f"  {cross} No solution found\n  {corner} Because a is not there\n  {bar} nor b.\n"
        assert condensed(err) == "No solution found Because a is not there nor b"

    @given(st.text())
    def test_whatever_it_is(self, err: str) -> None:
        told = condensed(err)
        assert "\n" not in told
        assert told.isprintable()

    @given(st.lists(st.sampled_from(["error: a", "  cause: b", "hint: c", "d", "", "warning: e"])))
    def test_in_any_order(self, lines: list[str]) -> None:
        assert condensed("\n".join(lines)).isprintable()

    def test_no_secret_and_no_end(self, tmp_path: Path) -> None:
        accounts = Accounts()
        accounts.add("https://me:s3cret@host/")
        program = stand_in(
            tmp_path,
            'sys.exit("error: GET https://me:s3cret@host/ s3cret http://u:pw@x " + "a" * 5000)',
        )
        with pytest.raises(ResolverError) as refused:
            Uv(accounts, environ={}, program=program).ask([], tmp_path, "it fails", advice="do x")
        told = str(refused.value)
        assert told.startswith("it fails: uv says: GET https://host/ **** http://x aaa")
        assert told.endswith("…; do x")
        assert len(told) < 1000

    def test_kinds(self) -> None:
        uv = Uv(environ={}, offline=True, program="/uv")
        network = Answer(1, "", "error: a\n\nhint: the network was disabled")
        assert isinstance(uv.error_of(network, "x"), OfflineError)
        old = uv.error_of(Answer(2, "", "error: unexpected argument '--format'"), "x")
        assert isinstance(old, UsageError)
        assert "update it" in str(old)
        unquoted = Answer(2, "", "error: invalid value 'http://me:p/w@x/' ...: invalid port number")
        address = uv.error_of(unquoted, "x")
        assert isinstance(address, ResolverError)
        assert "'http://x/'" in str(address)
        assert "%2F for /" in str(address)
        silent = uv.error_of(Answer(-9, "", ""), "x")
        assert str(silent) == "x: uv says: ended with status -9"

    def test_warnings(self) -> None:
        uv = Uv(environ={})
        err = "warning: `a==1` is yanked (reason:\x1b[1m bad)\nResolved 1 package\nwarning: b"
        assert uv.warnings(Answer(0, "", err)) == ["`a==1` is yanked (reason: bad)", "b"]


class TestEnding:
    def test_whoever_stops_waiting_ends_it(self, tmp_path: Path) -> None:
        uv = Uv(environ={}, program=stand_in(tmp_path, "time.sleep(60)"))
        outcome: list[object] = []

        def run() -> None:
            try:
                outcome.append(uv.run([], tmp_path))
            except KitbagError as error:
                outcome.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while not uv._running:
            time.sleep(0.01)
        began = time.monotonic()
        uv.stop()
        thread.join(10)
        assert time.monotonic() - began < 5
        assert isinstance(outcome[0], Interrupted)
        with pytest.raises(Interrupted):
            uv.run([], tmp_path)

    def test_an_interrupt_ends_it_even_if_it_will_not(self, tmp_path: Path) -> None:
        program = stand_in(
            tmp_path,
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('here', 'w').close()\n"
            "time.sleep(60)",
        )
        uv = Uv(environ={}, program=program)

        def interrupt() -> None:
            while not (tmp_path / "here").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), 2)

        threading.Thread(target=interrupt).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            uv.run([], tmp_path)
        assert time.monotonic() - began < 10
        assert not uv._running
