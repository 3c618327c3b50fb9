"""Options of ``kitbag pack`` that say which packages travel along."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from argparse import _ActionsContainer

    from kitbag_packer.environments.model import Spec

_OPTIONS = {"name": "environment", "extras": "extra", "groups": "group"}
"""Options that are called otherwise than what they set."""


def add_environments(parser: _ActionsContainer) -> None:
    """``--project``, ``--lock``, ``--requirements`` and what goes with them."""
    parser.add_argument(
        "--project",
        metavar="DIR",
        help="bring a project and its packages along, as its uv.lock or pylock.toml pins them; "
        "without a lock, uv resolves them",
    )
    parser.add_argument(
        "--lock", metavar="FILE", help="bring along what a pylock.toml (PEP 751) pins"
    )
    parser.add_argument(
        "--requirements",
        metavar="FILE",
        help="bring along what a requirements.txt with hashes pins",
    )
    parser.add_argument(
        "--extra",
        dest="extras",
        action="append",
        default=[],
        metavar="NAME",
        help="with an extra of the project; may be given several times",
    )
    parser.add_argument(
        "--group",
        dest="groups",
        action="append",
        default=None,
        metavar="NAME",
        help="with a dependency group; may be given several times (default: of a project none, "
        "not even dev; of a pylock.toml its own default-groups)",
    )
    parser.add_argument(
        "--environment",
        metavar="NAME",
        help="what the environment is called on the target (default: the project's name, or app)",
    )
    parser.add_argument(
        "--expose",
        action="append",
        default=[],
        metavar="SCRIPT",
        help="a console script that gets a name in the bin directory of the target; may be given "
        "several times",
    )
    parser.add_argument(
        "--run",
        dest="program",
        default="",
        metavar="SCRIPT",
        help="what kitbag run starts (default: the script of the environment's name, or the only "
        "one of the project)",
    )
    parser.add_argument(
        "--glibc",
        default="",
        metavar="VERSION",
        help="the least glibc of Linux targets that wheels are chosen for, such as 2.17",
    )
    parser.add_argument(
        "--wheelhouse-only",
        action="store_true",
        help="packages alone, for hosts that have a Python; requests then only give its version",
    )


def says_environment(options: argparse.Namespace) -> str:
    """The first option given that is about packages, as it was written; empty for none."""
    said = {
        "--project": options.project is not None,
        "--lock": options.lock is not None,
        "--requirements": options.requirements is not None,
        "--extra": options.extras,
        "--group": options.groups is not None,
        "--environment": options.environment is not None,
        "--expose": options.expose,
        "--run": options.program,
        "--glibc": options.glibc,
        "--wheelhouse-only": options.wheelhouse_only,
    }
    return next((name for name, given in said.items() if given), "")


def chosen_specs(options: argparse.Namespace) -> tuple[Spec, ...]:
    """The environment of the command line, if there is one.

    Raises :class:`UsageError` for options that contradict each other.
    """
    from kitbag_packer.environments.model import KINDS, Spec
    from kitbag_packer.environments.naming import DEFAULT, problems, project_name

    given = [kind for kind in KINDS if getattr(options, kind) is not None]
    said = says_environment(options)
    if not given:
        if said:
            raise UsageError(f"{said} goes with --project, --lock or --requirements")
        return ()
    if len(given) > 1:
        raise UsageError(
            f"--{given[0]} and --{given[1]}: an environment has one list of packages; a recipe has "
            "several environments"
        )
    (kind,) = given
    text = getattr(options, kind)
    if not text:
        raise UsageError(
            f"--{kind} is empty; name a {'directory' if kind == 'project' else 'file'}"
        )
    path = Path(os.path.abspath(os.path.expanduser(text)))
    name = options.environment
    if name is None:
        name = project_name(path) if kind == "project" else DEFAULT
    spec = Spec(
        name=name,
        kind=kind,
        path=path,
        extras=tuple(dict.fromkeys(options.extras)),
        groups=None if options.groups is None else tuple(dict.fromkeys(options.groups)),
        expose=tuple(sorted(set(options.expose))),
        run=options.program,
        glibc=options.glibc,
    )
    for field, problem in problems(spec):
        raise UsageError(f"--{_OPTIONS.get(field, field)}: {problem}")
    return (spec,)
