from __future__ import annotations

import os

import pytest

from kitbag_bundles.errors import Interrupted, NoMatch
from kitbag_bundles.keys import Target
from kitbag_bundles.manifest import InstallDefaults
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.cli.terminal import human_size
from kitbag_packer.cache import Cache
from kitbag_packer.conversation import dialogue
from kitbag_packer.conversation.answers import Given
from kitbag_packer.conversation.dialogue import Surroundings, talk
from kitbag_packer.downloads.settings import DownloadSettings
from support.stock import offer, stock

LINUX, MACOS = "linux-x86_64-gnu", "macos-aarch64-none"
CATALOG = stock(
    offer(f"cpython-3.13.5-{LINUX}", size=1000),
    offer(f"cpython-3.13.5-{LINUX}", "full", size=9000),
    f"cpython-3.13.5-{MACOS}",
    f"pypy-3.11.13-{LINUX}",
)


class Script:
    """Answers what it was told to, in order; an exception is raised."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []
        self.told = []
        self.options = {}

    def _next(self, question):
        self.asked.append(question)
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def several(self, question, options, check):
        self.options[question] = options
        answer = self._next(question)
        if answer is None:
            answer = [option.value for option in options if option.chosen]
        while problem := check(answer):
            self.told.append(problem)
            answer = self._next(question)
        return answer

    def one(self, question, options):
        self.options[question] = options
        return self._next(question) or options[0].value

    def path(self, question, default, check):
        answer = self._next(question)
        answer = default if answer is None else answer
        while problem := check(answer):
            self.told.append(problem)
            answer = self._next(question)
        return answer

    def confirm(self, question, *, default):
        answer = self._next(question)
        return default if answer is None else answer

    def tell(self, text):
        self.told.append(text)

    def wait(self, label, until):
        while not until(0.01):
            pass


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def around(tmp_path, catalogs=(CATALOG,), measure=lambda urls, _: [500] * len(urls)):
    cache = Cache(tmp_path / "cache", SilentReporter())
    return Surroundings(
        catalogs, cache, DownloadSettings(), (), Target.parse(LINUX), human_size, measure
    )


def test_the_short_way(tmp_path):
    script = Script(["3.13"], None, None, None, None, None)
    answers = talk(script, Given(), around(tmp_path))
    assert script.asked == [
        "Which Pythons?",
        "For which machines?",
        "Anything special? (flavor, format, how it installs)",
        "Which file shall it be?",
        "Pack this into python.kitbag?",
        "Save the answers as a recipe (kitbag.toml)?",
    ]
    assert (answers.requests, answers.targets) == (("3.13",), (LINUX,))
    assert (answers.flavor, answers.format, answers.output) == ("", "kitbag", "python.kitbag")
    assert (answers.recipe, answers.install) == (None, InstallDefaults())
    assert answers.command == f"kitbag pack 3.13 --target {LINUX} -o python.kitbag"
    plan, command = script.told
    assert plan.splitlines()[0] == f"  1.0 kB  cpython-3.13.5-{LINUX}"
    assert command.endswith(answers.command)
    assert os.listdir(tmp_path) == []


def test_everything_special(tmp_path):
    script = Script(
        *(["3.13"], None, True, "full", "dir", ["default", "no-externally-managed"]),
        *("kit", True, "recipe.toml"),
    )
    answers = talk(script, Given(), around(tmp_path))
    assert [option.value for option in script.options["Which kind of archive?"]] == [
        *("best", "install_only_stripped", "full"),
    ]
    assert (answers.flavor, answers.format, answers.output) == ("full", "dir", "kit")
    assert answers.choices[0].offer.size == 9000
    assert answers.install == InstallDefaults(default=True, externally_managed=False)
    assert answers.recipe is not None
    assert answers.recipe.install == answers.install
    assert answers.command == "kitbag pack -f recipe.toml --format dir -o kit"
    assert os.listdir(tmp_path) == []


def test_a_flavor_that_one_of_the_builds_lacks_is_asked_for_again(tmp_path):
    script = Script(["3.13"], [LINUX, MACOS], True, "full", "best", None, [], None, None, None)
    answers = talk(script, Given(), around(tmp_path))
    assert answers.flavor == ""
    assert script.asked.count("Which kind of archive?") == 2
    assert "full" in script.told[0]


def test_gaps_are_told_and_asked_around(tmp_path):
    script = Script(["3.13", "pypy3.11"], [MACOS], [LINUX, MACOS], None, None, None, None)
    answers = talk(script, Given(), around(tmp_path))
    assert script.told[0].startswith(f"no pypy3.11 for {MACOS}; choose")
    assert answers.requests == ("3.13", f"pypy-3.11-{LINUX}")
    assert f"  no pypy3.11 for {MACOS}" in script.told[1].splitlines()
    assert len(answers.choices) == 3


def test_nothing_chosen_is_no_answer(tmp_path):
    script = Script([], ["3.13"], [], [LINUX], None, None, None, None)
    talk(script, Given(), around(tmp_path))
    assert script.told[0].startswith("choose at least one")
    assert script.told[1].startswith("choose at least one")


def test_what_was_said_is_not_asked(tmp_path):
    given = Given(output="x.kitbag", flavor="full", format="kitbag", name="edge")
    script = Script(["3.13"], None, True, [], None, None)
    answers = talk(script, given, around(tmp_path))
    assert (answers.output, answers.flavor, answers.name) == ("x.kitbag", "full", "edge")
    assert "--flavor full --name edge -o x.kitbag" in answers.command


def test_an_old_file_is_replaced_only_after_a_yes(tmp_path):
    for name in ("python.kitbag", "kitbag.toml"):
        (tmp_path / name).write_bytes(b"old")
    script = Script(["3.13"], None, None, None, False, None, True, None, True, None, None, "new", 0)
    answers = talk(script, Given(), around(tmp_path))
    assert script.asked.count("python.kitbag exists. Replace it?") == 2
    assert script.asked.count("kitbag.toml exists. Replace it?") == 1
    assert answers.output == "python.kitbag"
    assert str(answers.recipe_path) == "new"
    assert (tmp_path / "python.kitbag").read_bytes() == b"old"


def test_a_plan_that_is_refused(tmp_path):
    with pytest.raises(Interrupted, match="nothing was written"):
        talk(Script(["3.13"], None, None, None, False), Given(), around(tmp_path))


@pytest.mark.parametrize("number", range(6))
def test_to_stop_is_possible_everywhere(tmp_path, number):
    answers = [["3.13"], None, None, None, None, None]
    answers[number] = Interrupted("stop")
    with pytest.raises(Interrupted, match="stop"):
        talk(Script(*answers), Given(), around(tmp_path))
    assert os.listdir(tmp_path) == []


def test_sizes_that_do_not_come_are_unknown(tmp_path, monkeypatch):
    import threading

    monkeypatch.setattr(dialogue, "PATIENCE", 0.05)
    stuck = threading.Event()
    measure = lambda urls, _: stuck.wait(60) and [500] * len(urls)  # noqa: E731
    script = Script(["pypy3.11"], None, None, None, None, None)
    talk(script, Given(), around(tmp_path, measure=measure))
    stuck.set()
    assert "to fetch: unknown" in script.told[0]


def test_pyodide_needs_no_machine(tmp_path):
    catalog = stock("pyodide-3.13.2-emscripten-wasm32-musl")
    script = Script(["pyodide3.13"], None, None, None, None)
    answers = talk(script, Given(), around(tmp_path, [catalog]))
    assert "For which machines?" not in script.asked
    assert answers.targets == ("emscripten-wasm32-musl",)
    assert len(answers.choices) == 1


def test_what_starts_the_bundle_is_in_the_plan(tmp_path):
    pypy = f"pypy-3.10.14-{LINUX}"
    packed = offer(pypy, "", filename="pypy3.10-v7.3.16-linux64.tar.bz2")
    catalog = stock(packed, offer(f"cpython-3.13.5-{LINUX}", size=7000))
    script = Script(["pypy3.10"], None, None, None, None, None)
    answers = talk(script, Given(), around(tmp_path, [catalog]))
    assert [choice.bootstrap for choice in answers.choices] == [False, True]
    assert f"  7.0 kB  cpython-3.13.5-{LINUX}" in script.told[0].splitlines()
    assert f"cpython-3.13.5-{LINUX}: only to start the installer with" in script.told[0]
    assert answers.command == f"kitbag pack pypy3.10 --target {LINUX} -o python.kitbag"
    script = Script(["pypy3.10"], None, None, None, None, None)
    answers = talk(script, Given(bootstrap=False), around(tmp_path, [catalog]))
    assert len(answers.choices) == 1
    assert "it needs a Python >= 3.9 on the target" in script.told[0]
    assert "--no-bootstrap" in answers.command


def test_no_builds_at_all(tmp_path):
    with pytest.raises(NoMatch, match="--catalog"):
        talk(Script(), Given(), around(tmp_path, [stock()]))
