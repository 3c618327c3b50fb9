"""The environment of a command line."""

from __future__ import annotations

import argparse

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_packer.cli.environments import add_environments, chosen_specs


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_environments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        ((), None),
        (("--group", "dev", "--group", "ops", "--group", "dev"), ("dev", "ops")),
    ],
)
def test_groups(words: tuple[str, ...], groups: tuple[str, ...] | None) -> None:
    (spec,) = chosen_specs(options("--lock", "pylock.toml", *words))
    assert spec.groups == groups


def test_groups_of_nothing() -> None:
    with pytest.raises(UsageError, match="--group goes with --project, --lock or"):
        chosen_specs(options("--group", "dev"))
