"""The conversation of ``kitbag pack`` on a terminal, from its options to its answers.

What is asked is :mod:`kitbag_packer.conversation`'s business, how it looks
:mod:`kitbag_packer.cli.questions`'.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kitbag_packer.cache import Cache
    from kitbag_packer.catalogs.model import Catalog
    from kitbag_packer.conversation.answers import Answers, Given
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.reporting import PackerReporter

__all__ = ["can_converse", "converse"]


def can_converse() -> bool:
    """Whether there is a person to talk to: a terminal on all sides that can move its cursor."""
    try:
        on_terminals = all(os.isatty(number) for number in range(3))
    except OSError:
        return False
    return on_terminals and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def converse(
    options: argparse.Namespace,
    reporter: PackerReporter,
    *,
    catalogs: Sequence[Catalog],
    cache: Cache,
    settings: DownloadSettings,
    mirrors: Sequence[str],
) -> Answers:
    """Ask for what ``options`` leave open, and save the recipe if the person wants one.

    Nothing is written before the last question is answered. Raises :class:`Interrupted` when the
    person stops, :class:`UsageError`, :class:`NoMatch`, :class:`Unverified`,
    :class:`CatalogError`, :class:`FileSystemError`.
    """
    if options.key is not None:
        raise UsageError("--key is about an archive; name that with --from")
    from kitbag_installer.cli.terminal import human_size
    from kitbag_packer.cli.questions import QuestionaryAsker
    from kitbag_packer.conversation.dialogue import Surroundings, talk
    from kitbag_packer.downloads.sizes import measure
    from kitbag_packer.targets import host_target

    around = Surroundings(catalogs, cache, settings, mirrors, host_target(), human_size, measure)
    with QuestionaryAsker() as asker:
        answers = talk(asker, _given(options), around)
    if answers.recipe is not None and answers.recipe_path is not None:
        from kitbag_packer.recipes.files import write_text_safely
        from kitbag_packer.recipes.recipe import render

        write_text_safely(answers.recipe_path, render(answers.recipe))
        reporter.info(f"{answers.recipe_path}: saved")
    return answers


def _given(options: argparse.Namespace) -> Given:
    from kitbag_packer.conversation.answers import Given, without_credentials

    others: list[str] = []
    for mirror in options.mirrors:
        named = re.match(r"[a-z]+=", mirror)
        publisher = named[0] if named else ""
        others += ["--mirror", publisher + without_credentials(mirror.removeprefix(publisher))]
    for name in ("cache_dir", "jobs", "limit_rate"):
        value = getattr(options, name)
        if value is not None:
            others.append(f"--{name.replace('_', '-')}={value}")
    for name in ("offline", "json", "quiet"):
        if getattr(options, name):
            others.append(f"--{name}")
    return Given(
        targets=tuple(options.targets),
        flavor=options.flavor,
        output=options.output or "",
        format=options.format or "",
        name=options.name or "",
        version=options.bundle_version or "",
        catalogs=tuple(options.catalogs),
        allow_unverified=options.allow_unverified,
        bootstrap=options.bootstrap,
        recompress=options.recompress,
        others=tuple(others),
    )
