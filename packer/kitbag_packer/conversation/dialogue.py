"""The conversation itself: which questions, in which order, and what the answers come to.

Nothing is written and nothing but sizes is asked of the network; whoever called does the rest.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import Interrupted, NoMatch, UsageError
from kitbag_bundles.manifest import InstallDefaults
from kitbag_packer.conversation import menus
from kitbag_packer.conversation.answers import (
    DIRECTORY,
    KITBAG,
    Answers,
    command_line,
    make_recipe,
    without_credentials,
)
from kitbag_packer.conversation.asking import Option
from kitbag_packer.conversation.places import check_file, check_folder, expanded
from kitbag_packer.conversation.plan import Survey, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_bundles.keys import BuildKey, Target
    from kitbag_packer.cache import Cache
    from kitbag_packer.catalogs.model import Catalog, Offer
    from kitbag_packer.conversation.answers import Given
    from kitbag_packer.conversation.asking import Asker
    from kitbag_packer.conversation.menus import Python
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.resolution import Choice

PATIENCE = 12.0
"""Seconds to wait for sizes before the plan is shown without them."""
_RECIPE = "kitbag.toml"
_BUNDLES = {KITBAG: "python.kitbag", DIRECTORY: "python-bundle"}
_BEST = "best"
_DEFAULT, _NO_BIN, _NOT_MANAGED = "default", "no-bin", "no-externally-managed"


@dataclass(frozen=True)
class Surroundings:
    """What a conversation is about, and what it may ask."""

    catalogs: Sequence[Catalog]
    cache: Cache
    settings: DownloadSettings
    mirrors: Sequence[str]
    host: Target
    human_size: Callable[[int], str]
    """Writes bytes for people."""
    measure: Callable[[Sequence[tuple[str, ...]], DownloadSettings], list[int | None]]
    """:func:`kitbag_packer.downloads.sizes.measure`."""


def talk(asker: Asker, given: Given, around: Surroundings) -> Answers:
    """Ask for what ``given`` leaves open.

    Raises :class:`Interrupted` when the person stops or does not want the plan, :class:`NoMatch`
    when the catalogs are empty, :class:`Unverified`, :class:`CatalogError`.
    """
    return _Dialogue(asker, given, around).run()


class _Dialogue:
    def __init__(self, asker: Asker, given: Given, around: Surroundings) -> None:
        self._asker = asker
        self._given = given
        self._around = around

    def run(self) -> Answers:
        found = menus.pythons(self._stock())
        if not found:
            raise NoMatch("no catalog lists any build; name another one with --catalog")
        chosen = self._pythons(found)
        targets = self._targets(chosen)
        requests = menus.requests(chosen, targets)
        choices = self._resolve(requests, targets, self._given.flavor)
        flavor, form, install = self._given.flavor, self._given.format or KITBAG, InstallDefaults()
        if self._asker.confirm(
            "Anything special? (flavor, format, how it installs)", default=False
        ):
            flavor, choices = self._flavor(requests, targets, choices)
            form = self._given.format or self._format()
            install = self._install()
        around = self._around
        choices, remarks = self._completed(choices, targets)
        survey = Survey(choices, around.cache, around.settings, around.mirrors, around.measure)
        output = self._given.output or self._output(form)
        self._show(survey, (*remarks, *menus.gaps(chosen, targets)))
        if not self._asker.confirm(f"Pack this into {output}?", default=True):
            raise Interrupted("stopped before anything was fetched; nothing was written")
        answers = Answers(
            requests=requests,
            targets=targets,
            flavor=flavor,
            format=form,
            output=output,
            name=self._given.name or "python",
            version=self._given.version,
            install=install,
            choices=choices,
        )
        return self._finish(answers)

    def _stock(self) -> list[BuildKey]:
        from kitbag_packer.catalogs.merging import collect
        from kitbag_packer.catalogs.model import Interest

        return list(collect(self._around.catalogs, Interest()))

    def _pythons(self, found: Sequence[Python]) -> list[Python]:
        by_text = {python.text: python for python in found}

        def check(values: Sequence[str]) -> str:
            return "" if values else "choose at least one: the space bar takes the line of the »"

        values = self._asker.several("Which Pythons?", menus.python_options(found), check)
        return [by_text[value] for value in values]

    def _targets(self, chosen: Sequence[Python]) -> tuple[str, ...]:
        if self._given.targets:
            return self._given.targets
        options = menus.target_options(chosen, self._around.host)
        if not options:
            return tuple(sorted({name for python in chosen for name in python.names}))

        def check(values: Sequence[str]) -> str:
            if not values:
                return "choose at least one: the space bar takes the line of the »"
            return menus.unreached(chosen, values)

        return tuple(self._asker.several("For which machines?", options, check))

    def _resolve(
        self, requests: Sequence[str], targets: Sequence[str], flavor: str
    ) -> tuple[Choice, ...]:
        from kitbag_bundles.requests import parse_requests
        from kitbag_packer.resolution import resolve

        return resolve(
            parse_requests(requests),
            targets,
            self._around.catalogs,
            flavor=flavor,
            allow_unverified=self._given.allow_unverified,
        )

    def _completed(
        self, choices: tuple[Choice, ...], targets: Sequence[str]
    ) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
        """The choices with what is needed to start the bundle, and what there is to say of that."""
        from kitbag_packer.bootstrap import Bootstrap, complete, offers_of, remarks
        from kitbag_packer.targets import Wanted

        given = self._given
        how = Bootstrap(
            tuple(self._around.catalogs) if given.bootstrap else (),
            Wanted.parse(targets).named,
            given.recompress,
            given.allow_unverified,
        )
        plan = complete(offers_of(choices), how)
        return (*choices, *plan.added), remarks(plan)

    def _flavor(
        self, requests: Sequence[str], targets: Sequence[str], choices: tuple[Choice, ...]
    ) -> tuple[str, tuple[Choice, ...]]:
        """The flavor and what it makes of the choices; asked again while there is nothing in it."""
        kinds = self._kinds(requests, [choice.offer for choice in choices])
        if self._given.flavor or len(kinds) < 2:
            return self._given.flavor, choices
        options = [Option(_BEST, "the best there is of each build")]
        options += [Option(kind, kind) for kind in kinds]
        while True:
            flavor = self._asker.one("Which kind of archive?", options)
            if flavor == _BEST:
                return "", choices
            try:
                return flavor, self._resolve(requests, targets, flavor)
            except (NoMatch, UsageError) as error:
                self._asker.tell(str(error))

    def _kinds(self, requests: Sequence[str], offers: Sequence[Offer]) -> list[str]:
        """The flavors that the builds of ``offers`` come in, best first."""
        from kitbag_bundles.requests import parse_requests
        from kitbag_packer.catalogs.merging import collect
        from kitbag_packer.catalogs.model import Interest
        from kitbag_packer.flavors import FLAVORS

        wanted = {offer.key for offer in offers}
        targets = frozenset(key.target for key in wanted)
        interest = Interest(parse_requests(requests), targets)
        there = {
            offer.flavor
            for catalog in self._around.catalogs
            for key, found in collect([catalog], interest).items()
            for offer in found
            if key in wanted
        }
        known = dict.fromkeys(
            flavor for name, flavors in FLAVORS.items() for flavor in flavors
            if any(key.implementation == name for key in wanted)
        )  # fmt: skip
        return [flavor for flavor in known if flavor in there]

    def _format(self) -> str:
        options = [
            Option(KITBAG, "one file, which installs itself"),
            Option(DIRECTORY, "the same in a folder"),
        ]
        return self._asker.one("A file or a folder?", options)

    def _install(self) -> InstallDefaults:
        options = [
            Option(_DEFAULT, "link python3 and python too"),
            Option(_NO_BIN, "make no links and no kitbag command"),
            Option(_NOT_MANAGED, "let pip install straight into the builds"),
        ]

        def check(values: Sequence[str]) -> str:
            both = _DEFAULT in values and _NO_BIN in values
            return "links for python, or no links at all?" if both else ""

        chosen = self._asker.several("How shall it install? (none: as usual)", options, check)
        return InstallDefaults(
            default=True if _DEFAULT in chosen else None,
            externally_managed=False if _NOT_MANAGED in chosen else None,
            bin=False if _NO_BIN in chosen else None,
        )

    def _output(self, form: str) -> str:
        check = check_folder if form == DIRECTORY else check_file
        default = _BUNDLES[form]
        question = "Which folder shall it be?" if form == DIRECTORY else "Which file shall it be?"
        while True:
            path = expanded(self._asker.path(question, default, check))
            if form == DIRECTORY or self._may_replace(path):
                return path
            default = path

    def _may_replace(self, path: str) -> bool:
        if not os.path.lexists(path):
            return True
        return self._asker.confirm(f"{path} exists. Replace it?", default=False)

    def _show(self, survey: Survey, gaps: Sequence[str]) -> None:
        deadline = time.monotonic() + PATIENCE

        def until(seconds: float) -> bool:
            return survey.finished(seconds) or time.monotonic() > deadline

        if not survey.finished(0):
            self._asker.wait("asking how large the archives are", until)
        lines = describe(survey.plan(), self._around.human_size)
        self._asker.tell("\n".join([*lines, *(f"  {gap}" for gap in gaps)]))

    def _finish(self, answers: Answers) -> Answers:
        path: str | None = None
        if answers.install != InstallDefaults():
            self._asker.tell("How a bundle installs is written in a recipe, so there will be one.")
            path = self._recipe()
        elif self._asker.confirm(f"Save the answers as a recipe ({_RECIPE})?", default=False):
            path = self._recipe()
        if path is not None:
            recipe = make_recipe(answers, self._given, Path(path))
            answers = replace(answers, recipe=recipe, recipe_path=Path(path))
        answers = replace(answers, command=command_line(answers, self._given))
        secret = [each for each in self._given.catalogs if without_credentials(each) != each]
        remark = " (add the credentials to its addresses)" if secret else ""
        self._asker.tell(f"The same without questions{remark}:\n  {answers.command}")
        return answers

    def _recipe(self) -> str:
        default = _RECIPE
        while True:
            path = expanded(self._asker.path("Which file is the recipe?", default, check_file))
            if self._may_replace(path):
                return path
            default = path
