import importlib

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.parsing import parse
from support.commands import run_kitbag

RUN = importlib.import_module("kitbag_installer.cli.run")


@pytest.mark.parametrize(
    ("words", "name", "command", "arguments"),
    [
        (["app"], "app", None, []),
        (["app", "--"], "app", None, []),
        (["app", "--", "--root", "x", "--", "-h"], "app", None, ["--root", "x", "--", "-h"]),
        (["app", "a", "--command", "py", "--", "b"], "app", "py", ["a", "b"]),
        (["--command", "py", "app", "--", "-c", "1"], "app", "py", ["-c", "1"]),
    ],
)
def test_what_comes_after_two_hyphens_is_the_programs(words, name, command, arguments):
    options = parse("run", RUN, words)
    assert (options.name, options.command, options.arguments) == (name, command, arguments)
    assert options.root is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: NAME; see"),
        (["--", "app"], "the following arguments are required: NAME; see"),
        (["app", "--port"], "arguments: --port; what is for the program goes after --; see"),
    ],
)
def test_usage(words, message):
    with pytest.raises(UsageError, match=message):
        parse("run", RUN, words)


def test_where_nothing_is_installed(capfd, tmp_path):
    done = run_kitbag(capfd, "run", "app", "--root", tmp_path)
    assert (done.status, done.out) == (4, "")
    assert "has no environment 'app'; install a bundle that has it" in done.err
