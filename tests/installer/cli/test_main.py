import argparse
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import kitbag_packer.cli
from kitbag_bundles import __version__
from kitbag_bundles.errors import ArchiveError, Interrupted, KitbagError, NoMatch
from kitbag_installer import cli
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag, start_kitbag

VERBS = kitbag_packer.cli.VERBS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", "3.13.5")


def parser_of(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"kitbag {verb}", add_help=False)
    importlib.import_module(VERBS[verb][0]).add_arguments(parser)
    return parser


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_the_version(capfd, word):
    assert run_kitbag(capfd, word) == (0, f"kitbag {__version__}\n", "")


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_the_overview_names_every_verb_and_every_status(capfd, word):
    done = run_kitbag(capfd, word)
    assert (done.status, done.err) == (0, "")
    for verb, (_, summary) in VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(summary)}$", done.out, re.MULTILINE)
    for status in ("0 done", "1 failed", "2 usage", "3 integrity", "4 nothing", "130 interr"):
        assert status in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_about_a_verb(capfd, word):
    assert run_kitbag(capfd, word, "doctor") == run_kitbag(capfd, "doctor", "--help")


def test_help_about_no_verb(capfd):
    said = "kitbag: error: no such command 'doctr'; see kitbag --help\n"
    assert run_kitbag(capfd, "help", "doctr") == (2, "", said)
    assert run_kitbag(capfd, "--help", "doctr") == run_kitbag(capfd, "--help")


def test_without_a_word_the_overview_is_a_usage_error(capfd):
    done = run_kitbag(capfd)
    assert done.status == 2
    assert done.out.startswith("usage: kitbag COMMAND")


@pytest.mark.parametrize("word", ["instal", "INSTALL", "--root", "", "-x"])
def test_an_unknown_verb_is_a_usage_error(capfd, word):
    done = run_kitbag(capfd, word)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"kitbag: error: no such command {word!r}; see kitbag --help\n"


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_every_option_and_examples(capfd, verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    done = run_kitbag(capfd, verb, "--help")
    assert (done.status, done.err) == (0, "")
    module = importlib.import_module(VERBS[verb][0])
    assert done.out.startswith(f"usage: kitbag {verb} ")
    for action in parser_of(verb)._actions:
        assert action.help
        for option in action.option_strings or [str(action.metavar)]:
            assert option in done.out
    assert module.__doc__.splitlines()[0] in done.out
    assert "\nexamples:\n  " in done.out
    assert module.EPILOG.rstrip() in done.out


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_can_be_parsed(verb):
    text = importlib.import_module(VERBS[verb][0]).EPILOG.replace("\\\n", " ")
    found = re.findall(rf"(?<![\w.])kitbag {verb}\b([^\n>]*)", text)
    assert found
    for line in found:
        words = re.split(r" {3,}(?=[a-z])", line)[0].split()
        parser_of(verb).parse_intermixed_args(words)


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_a_usage_error(capfd, verb):
    done = run_kitbag(capfd, verb, "x", "--frobnicate")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("kitbag: error: ")
    assert done.err.endswith(f"; see kitbag {verb} --help\n")
    assert done.err.count("\n") == 1
    assert re.search("--frobnicate|required|invalid choice: 'x'", done.err)


def test_a_usage_error_tells_no_secret(capfd):
    address = "https://me:secret@h.example/list?token=secret"
    done = run_kitbag(
        capfd, "install", "bundle", f"--catalog={address}", "https:/me:secret@h", "-j"
    )
    assert done.status == 2
    assert "--catalog=https://h.example/list" in done.err
    assert "secret" not in done.err


def test_a_usage_error_is_json_too_where_that_is_asked_for(capfd):
    done = run_kitbag(capfd, "install", "--json")
    assert done.status == 2
    message = "the following arguments are required: BUNDLE; see kitbag install --help"
    assert json.loads(done.out) == {"error": {"code": "usage", "message": message}}


def test_options_are_not_abbreviated(capfd, bundle):
    done = run_kitbag(capfd, "install", bundle, "--no-b")
    assert done.status == 2
    assert "unrecognized arguments: --no-b" in done.err


def test_requests_may_come_behind_options(capfd, bundle, tmp_path):
    done = run_kitbag(
        capfd, "install", bundle, "--root", tmp_path / "r", "--no-bin", "3.13", "--json", "3.13.5"
    )
    assert done.status == 0
    assert len(done.json["builds"]) == 1


class Failing:
    """A verb that ends as it is told to."""

    EPILOG = ""
    __doc__ = "Fail."

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def run(self, options: object, reporter: object) -> int:
        raise self._error


def fail(capfd, monkeypatch, error: BaseException, *words: str):
    monkeypatch.setitem(sys.modules, "failing", Failing(error))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        status = cli.main(["fail", *words], verbs={"fail": ("failing", "fail")})
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status, *capfd.readouterr()


@pytest.mark.parametrize(
    ("error", "status", "shown", "code"),
    [
        (KitbagError("it broke"), 1, "it broke", "failed"),
        (ArchiveError("x: bad"), 3, "x: bad", "archive"),
        (NoMatch("no such build"), 4, "no such build", "no-match"),
        (Interrupted("stopped"), 130, "stopped", "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted; nothing is left half done", "interrupted"),
        (PermissionError(13, "Permission denied", "/x"), 1, ("/x: Permission denied; check the "
         "permissions, or choose another place"), "file-system"),
        (ZeroDivisionError("oops"), 1, ("internal error: ZeroDivisionError('oops'); set "
         "KITBAG_DEBUG=1 to see where, and please report it"), "failed"),
    ],
)  # fmt: skip
def test_every_end_has_its_status_one_line_and_json_if_asked(
    capfd, monkeypatch, error, status, shown, code
):
    assert fail(capfd, monkeypatch, error) == (status, "", f"kitbag: error: {shown}\n")
    found, out, err = fail(capfd, monkeypatch, error, "--json")
    assert (found, err) == (status, f"kitbag: error: {shown}\n")
    assert json.loads(out) == {"error": {"code": code, "message": shown}}


def test_debugging_shows_where_an_unexpected_error_came_from(capfd, monkeypatch):
    monkeypatch.setenv("KITBAG_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        fail(capfd, monkeypatch, ZeroDivisionError("oops"))


class Recording:
    """A reporter that knows when it is no longer needed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("error", [None, KitbagError("it broke"), KeyboardInterrupt()])
def test_a_verb_gets_the_reporter_that_was_made_for_it(capfd, monkeypatch, error):
    made, given = [], []

    class Verb(Failing):
        __doc__ = "Do."

        def run(self, options, reporter):
            given.append(reporter)
            return 0 if error is None else super().run(options, reporter)

    def make(verb, options):
        made.append((verb, options.json, Recording()))
        return made[-1][-1]

    monkeypatch.setitem(sys.modules, "verb", Verb(error))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        cli.main(["do", "--json"], verbs={"do": ("verb", "do")}, reporter=make)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ((verb, as_json, reporter),) = made
    assert (verb, as_json, reporter.closed, given) == ("do", True, 1, [reporter])


def in_bundle(capfd, bundle: object, *words: str):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    capfd.readouterr()
    try:
        status = cli.main(list(words), bundle=str(bundle))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status, *capfd.readouterr()


def test_in_a_bundle_install_is_the_default_verb(capfd, bundle, tmp_path):
    status, out, _ = in_bundle(capfd, bundle, "--root", str(tmp_path / "r"), "--no-bin", "-q")
    assert status == 0
    assert str(host_key()) in out
    status, out, _ = in_bundle(capfd, bundle, "3.13", "--root", str(tmp_path / "r"), "--no-bin")
    assert "is already installed" in out


def test_in_a_bundle_the_verbs_are_about_that_bundle(capfd, bundle, tmp_path):
    assert "fits this host" in in_bundle(capfd, bundle, "show")[1]
    assert "sound" in in_bundle(capfd, bundle, "verify")[1]
    root = str(tmp_path / "r")
    (tmp_path / "r").mkdir()
    assert in_bundle(capfd, bundle, "verify", "--root", root)[:2] == (
        0,
        f"nothing is installed in {root}\n",
    )
    assert in_bundle(capfd, bundle, "verify", f"--root={root}")[0] == 0
    assert "nothing is installed" in in_bundle(capfd, bundle, "installed", "--root", root)[1]
    assert in_bundle(capfd, bundle, "--version")[1] == f"kitbag {__version__}\n"
    assert in_bundle(capfd, bundle, "--help")[0] == 0


def test_sigterm_ends_the_work_in_order(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5", answers={"3.13.5": "hang"})
    process = start_kitbag("install", bundle, "--root", tmp_path / "r", "--no-bin")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not _waits_for_a_child(process.pid):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "kitbag: error: stopped by SIGTERM; nothing is left half done\n"
    assert not (tmp_path / "r").exists()


def _waits_for_a_child(pid: int) -> bool:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return bool(file.read().strip())


def test_a_reader_that_is_gone_is_no_news(bundle):
    process = start_kitbag("show", bundle, "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) in ((0, ""), (1, ""))


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_do_no_harm(bundle, tmp_path, closed):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = f'exec "$0" -m kitbag_packer install "$1" --root "$2" --no-bin {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, bundle, tmp_path / "r"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert (tmp_path / "r" / str(host_key()) / "BUILD").read_text() == "20260101"


@pytest.mark.parametrize(("full", "status"), [(">/dev/full", 1), ("2>/dev/full", 0)])
def test_a_stream_that_takes_nothing_is_told_once(bundle, full, status):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("PYTHONUNBUFFERED", None)
    command = f'exec "$0" -m kitbag_packer show "$1" {full}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, bundle],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    told = "kitbag: error: standard output: No space left on device; free some space or inodes"
    assert done.stderr.startswith(told if status else "")
    assert done.stderr.count("\n") == status


def test_the_target_side_starts_without_heavy_imports():
    """What takes long to import is imported when a verb needs it, if at all."""
    program = (
        "import sys; from kitbag_installer.cli import main; main(['--version']);"
        "print(sorted({'argparse', 'typing', 'json', 'zipfile', 'hashlib', 'subprocess', 're',"
        "'importlib.metadata'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout == f"kitbag {__version__}\n[]\n"
