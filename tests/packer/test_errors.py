from __future__ import annotations

import re

import pytest

from kitbag_bundles.errors import KitbagError, error_of
from kitbag_packer import errors

OURS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and each.__module__ == errors.__name__
]


def test_the_picture_in_the_docstring_is_the_tree() -> None:
    drawn = dict(re.findall(r"([A-Z]\w+)\s+(\d+)(?:  |\n)", errors.__doc__ or ""))
    for kind in OURS:
        assert drawn.pop(kind.__name__) == str(kind.exit_status)
    assert set(drawn) == {"UsageError", "IntegrityError", "NoMatch"}


@pytest.mark.parametrize("kind", OURS)
def test_every_class_is_found_again_by_its_code(kind: type[KitbagError]) -> None:
    assert type(error_of(kind.code, "what happened")) is kind
