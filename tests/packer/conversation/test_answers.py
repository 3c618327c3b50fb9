from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given as examples
from hypothesis import strategies

from kitbag_bundles.manifest import InstallDefaults
from kitbag_packer.cli import pack
from kitbag_packer.conversation.answers import Answers, Given, command_line, make_recipe
from kitbag_packer.recipes.recipe import read_recipe, render

ANSWERS = Answers(
    requests=("3.13", "cpython-3.14+freethreaded-linux-x86_64-gnu"),
    targets=("linux-x86_64-gnu", "macos-aarch64-none"),
    flavor="install_only",
    format="dir",
    output="my tools",
    name="edge",
    version="7",
    install=InstallDefaults(),
    choices=(),
)


def parsed(command: str) -> argparse.Namespace:
    words = shlex.split(command)
    assert words[:2] == ["kitbag", "pack"]
    parser = argparse.ArgumentParser()
    pack.add_arguments(parser)
    return parser.parse_args(words[2:])


def test_the_command_says_all_of_it() -> None:
    given = Given(
        name="edge",
        version="7",
        catalogs=("-odd/",),
        allow_unverified=True,
        others=("--jobs=3", "--offline"),
    )
    options = parsed(command_line(ANSWERS, given))
    assert tuple(options.requests) == ANSWERS.requests
    assert tuple(options.targets) == ANSWERS.targets
    assert (options.flavor, options.format, options.output) == ("install_only", "dir", "my tools")
    assert (options.name, options.bundle_version) == ("edge", "7")
    assert (options.catalogs, options.jobs) == (["-odd/"], "3")
    assert options.offline
    assert options.allow_unverified
    assert (options.bootstrap, options.recompress) == (True, False)
    options = parsed(command_line(ANSWERS, Given(bootstrap=False, recompress=True)))
    assert (options.bootstrap, options.recompress) == (False, True)


@examples(strategies.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_output_survives_the_shell(output: str) -> None:
    assert parsed(command_line(replace(ANSWERS, output=output), Given())).output == output


def test_credentials_are_not_shown() -> None:
    given = Given(catalogs=("https://me:secret@example.test/x.json?token=secret",))
    command = command_line(ANSWERS, given)
    assert "secret" not in command
    assert "https://example.test/x.json" in command
    assert make_recipe(ANSWERS, given, Path("kitbag.toml")).catalogs == ()


def test_what_only_a_recipe_can_say_is_left_to_it() -> None:
    answers = replace(
        ANSWERS, install=InstallDefaults(default=True), recipe_path=Path("-x/kitbag.toml")
    )
    options = parsed(command_line(answers, Given()))
    assert options.recipe == "-x/kitbag.toml"
    assert (options.requests, options.targets, options.flavor) == ([], [], "")
    assert options.output == "my tools"


@pytest.mark.parametrize("folder", [".", "recipes"])
def test_the_recipe_says_all_of_it(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    answers = replace(ANSWERS, install=InstallDefaults(default=True, bin=None))
    path = Path(folder) / "kitbag.toml"
    given = Given(catalogs=("archives/", "embedded"), allow_unverified=True, bootstrap=False)
    path.write_text(render(make_recipe(answers, given, path)), encoding="utf-8")
    recipe = read_recipe(path)
    assert (recipe.python, recipe.targets) == (answers.requests, answers.targets)
    assert (recipe.flavor, recipe.name, recipe.version) == ("install_only", "edge", "7")
    assert recipe.install == answers.install
    assert recipe.allow_unverified
    assert not recipe.bootstrap
    assert recipe.output_path is not None
    assert recipe.output_path.absolute() == tmp_path / "my tools"
    archives, embedded = recipe.catalog_places
    assert (Path(archives).absolute(), archives[-1]) == (tmp_path / "archives", "/")
    assert embedded == "embedded"
    assert (str(tmp_path) in path.read_text(encoding="utf-8")) == (folder == "recipes")
