"""What a conversation comes to, also as a command line and as a recipe."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.manifest import InstallDefaults
from kitbag_packer.downloads.addresses import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.resolution import Choice

KITBAG, DIRECTORY = "kitbag", "dir"
"""The formats, as ``--format`` names them."""


@dataclass(frozen=True)
class Given:
    """What was said on the command line; empty means that it was not."""

    targets: tuple[str, ...] = ()
    flavor: str = ""
    output: str = ""
    format: str = ""
    name: str = ""
    version: str = ""
    catalogs: tuple[str, ...] = ()
    allow_unverified: bool = False
    bootstrap: bool = True
    """Whether a build is added where nothing else can start the bundle."""
    recompress: bool = False
    """Whether archives that are in the way of that are compressed anew."""
    others: tuple[str, ...] = ()
    """Options that the conversation has nothing to do with, as words of a command line."""


@dataclass(frozen=True)
class Answers:
    """Everything that packing needs to know."""

    requests: tuple[str, ...]
    targets: tuple[str, ...]
    flavor: str
    format: str
    output: str
    """The file or folder to write, as a path."""
    name: str
    version: str
    install: InstallDefaults
    choices: tuple[Choice, ...]
    """What the requests stand for today."""
    command: str = ""
    """The command line that does the same."""
    recipe: Recipe | None = None
    """To be saved, if there is one."""
    recipe_path: Path | None = None


def command_line(answers: Answers, given: Given) -> str:
    """The command that packs the same, to be typed into a POSIX shell.

    A recipe that is saved stands for what only a recipe can say. Credentials are left out.
    """
    words = ["kitbag", "pack"]
    if answers.recipe_path is not None and answers.install != InstallDefaults():
        words += _option("-f", str(answers.recipe_path))
    else:
        words += answers.requests
        words += [word for target in answers.targets for word in ("--target", target)]
        words += _option("--flavor", answers.flavor)
        words += ["--allow-unverified"] if given.allow_unverified else []
        words += [] if given.bootstrap else ["--no-bootstrap"]
        words += ["--recompress"] if given.recompress else []
        if given.name:
            words += _option("--name", answers.name)
        words += _option("--bundle-version", answers.version)
    for catalog in given.catalogs:
        words += _option("--catalog", without_credentials(catalog))
    if answers.format != KITBAG:
        words += ["--format", answers.format]
    words += [*given.others, *_option("-o", answers.output)]
    return shlex.join(words)


def make_recipe(answers: Answers, given: Given, path: Path) -> Recipe:
    """The recipe that says the same, to be saved as ``path``; paths in it are relative to it."""
    from kitbag_packer.recipes.recipe import Recipe

    folder = path.absolute().parent
    return Recipe(
        python=answers.requests,
        targets=answers.targets,
        name=answers.name,
        version=answers.version,
        flavor=answers.flavor,
        output=_seen_from(folder, answers.output),
        catalogs=tuple(
            catalog if _is_name(catalog) else _seen_from(folder, catalog)
            for catalog in given.catalogs
            # A secret has no place in a file that is shared.
            if without_credentials(catalog) == catalog
        ),
        allow_unverified=given.allow_unverified,
        bootstrap=given.bootstrap,
        install=answers.install,
        folder=folder,
    )


def without_credentials(text: str) -> str:
    """``text`` if it is an address or a path that anybody may see; or else what may be seen."""
    return shown(text) if "://" in text else text


def _is_name(catalog: str) -> bool:
    return "://" in catalog or catalog in ("embedded", "stored")


def _seen_from(folder: Path, path: str) -> str:
    absolute = os.path.abspath(os.path.expanduser(path))
    slash = "/" if path.endswith("/") else ""
    if folder in Path(absolute).parents:
        return os.path.relpath(absolute, folder) + slash
    return absolute + slash


def _option(name: str, value: str) -> Sequence[str]:
    """An option with its value, as one word where the value looks like an option itself."""
    if not value:
        return ()
    if value.startswith("-"):
        return (f"{name}={value}" if name.startswith("--") else f"{name}{value}",)
    return (name, value)
