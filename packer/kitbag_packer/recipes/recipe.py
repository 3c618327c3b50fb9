"""The recipe, ``kitbag.toml``: which builds a bundle holds, and what it is called.

``docs/reference/recipe.md`` explains every key. What a recipe asks for, a lock pins; see
:mod:`kitbag_packer.recipes.lock`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kitbag_bundles.errors import file_system_error
from kitbag_bundles.manifest import InstallDefaults, install_table
from kitbag_packer.errors import RecipeError
from kitbag_packer.recipes.environments import (
    EnvironmentOptions,
    environment_options,
    options_table,
)
from kitbag_packer.recipes.shape import check_shape

__all__ = [
    "EnvironmentOptions",
    "InstallDefaults",
    "Recipe",
    "TargetOptions",
    "read_recipe",
    "render",
]


_USUAL = (
    "flavor",
    "output",
    "catalogs",
    "allow_unverified",
    "bootstrap",
    "bytecode",
    "wheelhouse_only",
)
"""Keys of ``[bundle]`` that need not be there, in the order of the text."""


@dataclass(frozen=True)
class TargetOptions:
    """What is different for one target."""

    target: str
    """As it was written."""
    python: tuple[str, ...] = ()
    """Requests in place of the bundle's; empty to keep those."""
    flavor: str | None = None
    """The flavor in place of the bundle's; ``None`` to keep that one."""


@dataclass(frozen=True)
class Recipe:
    """What a bundle holds and is called; all texts as they were written."""

    python: tuple[str, ...]
    """Requests."""
    targets: tuple[str, ...]
    """Targets, or ``all``."""
    name: str = "python"
    version: str = ""
    flavor: str = ""
    output: str = ""
    """The bundle to write, relative to ``folder``; may be empty."""
    catalogs: tuple[str, ...] = ()
    """Files relative to ``folder``, URLs, ``embedded``, ``stored``."""
    allow_unverified: bool = False
    bootstrap: bool = True
    """Whether a build is added where nothing else can start the bundle."""
    bytecode: bool = False
    """Whether the standard libraries are compiled when packing."""
    wheelhouse_only: bool = False
    """Whether there are packages alone, and ``python`` only gives their versions."""
    target_options: tuple[TargetOptions, ...] = ()
    install: InstallDefaults = field(default_factory=InstallDefaults)
    environments: tuple[EnvironmentOptions, ...] = ()
    folder: Path = field(default=Path(), compare=False)
    """Where the recipe is."""

    @property
    def output_path(self) -> Path | None:
        """The bundle to write, if the recipe says."""
        return self.folder / self.output if self.output else None

    @property
    def catalog_places(self) -> tuple[str, ...]:
        """The catalogs as ``--catalog`` takes them."""
        return tuple(
            each
            if each in ("embedded", "stored") or "://" in each or each.startswith("~")
            # A folder's slash at the end says that it is one.
            else str(self.folder / each) + ("/" if each.endswith("/") else "")
            for each in self.catalogs
        )


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises :class:`RecipeError` that names the file and the key."""
    from kitbag_packer.recipes.wants import problems

    source = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(
            f"{source}: no such file; write a recipe, or name one with -f FILE"
        ) from None
    except UnicodeDecodeError:
        raise RecipeError(f"{source}: not UTF-8; save it as that") from None
    except OSError as error:
        raise file_system_error(error, source) from None
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise RecipeError(f"{source}: not TOML: {why}") from None
    check_shape(document, source)
    recipe = _from_table(document, path.parent)
    for where, problem in problems(recipe):
        raise RecipeError(f"{source}: {where}: {problem}")
    return recipe


def render(recipe: Recipe) -> str:
    """The text of a recipe; what is as usual is left out."""
    import tomli_w

    bundle: dict[str, Any] = {"name": recipe.name}
    if recipe.version:
        bundle["version"] = recipe.version
    bundle["python"] = list(recipe.python)
    bundle["targets"] = list(recipe.targets)
    usual = Recipe(recipe.python, recipe.targets)
    for name in _USUAL:
        value = getattr(recipe, name)
        if value != getattr(usual, name):
            shown = list(value) if isinstance(value, tuple) else value
            bundle[name.replace("_", "-")] = shown
    targets = {each.target: _target_table(each) for each in recipe.target_options}
    environments = [options_table(each) for each in recipe.environments]
    document = {
        "bundle": bundle,
        **({"target": targets} if targets else {}),
        **install_table(recipe.install),
        **({"environment": environments} if environments else {}),
    }
    return tomli_w.dumps(document)


def _target_table(options: TargetOptions) -> dict[str, Any]:
    table: dict[str, Any] = {"python": list(options.python)} if options.python else {}
    return table if options.flavor is None else {**table, "flavor": options.flavor}


def _from_table(document: dict[str, Any], folder: Path) -> Recipe:
    bundle, install = document["bundle"], document.get("install", {})
    return Recipe(
        python=tuple(bundle["python"]),
        targets=tuple(bundle["targets"]),
        name=bundle.get("name", "python"),
        version=bundle.get("version", ""),
        flavor=bundle.get("flavor", ""),
        output=bundle.get("output", ""),
        catalogs=tuple(bundle.get("catalogs", ())),
        allow_unverified=bundle.get("allow-unverified", False),
        bootstrap=bundle.get("bootstrap", True),
        bytecode=bundle.get("bytecode", False),
        wheelhouse_only=bundle.get("wheelhouse-only", False),
        target_options=tuple(
            TargetOptions(target, tuple(table.get("python", ())), table.get("flavor"))
            for target, table in document.get("target", {}).items()
        ),
        install=InstallDefaults(
            default=install.get("default"),
            externally_managed=install.get("externally-managed"),
            bin=install.get("bin"),
        ),
        environments=tuple(environment_options(each) for each in document.get("environment", ())),
        folder=folder,
    )
