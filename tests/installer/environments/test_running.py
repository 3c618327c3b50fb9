import os

import pytest

from kitbag_bundles.errors import KitbagError, NoMatch, UsageError
from kitbag_installer.environments.running import Program, environment_of, find_program
from support.cli import assert_done, call
from support.environments import tiny_base, with_environments
from support.tinyapp import App
from support.wheels import make_wheel


def test_the_program_of_its_name_is_the_usual_one(app):
    found = find_program(app.root, "app")
    assert found == Program(f"{app.home}/bin/app", f"{app.home}", f"{app.home}/bin")
    assert find_program(app.root, "app", "app-old").path == f"{app.home}/bin/app-old"
    assert find_program(app.root, "app", "python").path == f"{app.home}/bin/python"


@pytest.mark.parametrize("word", ["nothing", "../bin/app", "/bin/sh", "."])
def test_only_its_own_programs_count(app, word):
    with pytest.raises(NoMatch, match="it has app, app-old"):
        find_program(app.root, "app", word)


@pytest.mark.parametrize(
    ("scripts", "expose", "run", "usual"),
    [
        (["a", "b"], [], "b", "b"),
        (["a", "b"], ["a"], "", "a"),
        (["only"], [], "", "only"),
        (["a", "tool"], ["a"], "", "tool"),
        (["a", "b"], [], "", ""),
        ([], [], "", ""),
    ],
)
def test_which_is_the_usual_one(tmp_path, scripts, expose, run, usual):
    wheel = make_wheel(tmp_path, "thing", scripts=dict.fromkeys(scripts, "thing:main"))
    bundle = with_environments(
        tmp_path / "x.kitbag",
        tiny_base(tmp_path / "base.kitbag"),
        {"tool": [wheel]},
        expose={"tool": expose},
        run={"tool": run},
    )
    place = App(tmp_path / "place")
    assert_done(call("install", bundle, "--root", place.root.path, "--no-bin"))
    if usual:
        assert os.path.basename(find_program(place.root, "tool").path) == usual
    else:
        with pytest.raises(UsageError, match="no program in particular; name one with --command"):
            find_program(place.root, "tool")


def test_what_was_moved_does_not_run(app, tmp_path):
    app.move(tmp_path / "new")
    with pytest.raises(KitbagError, match=r"^app can't run: it was moved here from .*relocate$"):
        find_program(app.root, "app")


def test_its_variables_are_those_of_an_activated_one():
    program = Program("/e/bin/x", "/e", "/e/bin")
    found = environment_of(program, {"PATH": "/bin", "PYTHONHOME": "/x", "A": "b"})
    assert found == {"PATH": f"/e/bin{os.pathsep}/bin", "VIRTUAL_ENV": "/e", "A": "b"}
    assert environment_of(program, {"PATH": ""})["PATH"] == "/e/bin"
