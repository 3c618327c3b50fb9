import errno
import os

import pytest

from kitbag_installer.preflight.probing import probe
from kitbag_installer.roots import Root


@pytest.fixture
def root(tmp_path) -> Root:
    root = Root(str(tmp_path / "root"))
    root.prepare()
    return root


@pytest.mark.parametrize("case_matters", [True, False])
def test_nothing_is_found_and_nothing_is_left(root, case_matters):
    assert probe(root, case_matters=case_matters) == []
    assert os.listdir(root.temp) == []


def test_a_directory_that_ignores_case(root, monkeypatch):
    """The name in capitals is there, although nobody made it."""
    monkeypatch.setattr(os, "urandom", lambda count: b"\xab" * count)
    name = os.path.basename(root.scratch("probe"))
    with open(os.path.join(root.temp, name.upper()), "wb"):
        pass
    (point,) = probe(root, case_matters=True)
    assert (point.code, point.advice) == ("case", False)
    assert probe(root, case_matters=False) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_directory_without_links(root, monkeypatch, number):
    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "symlink", refuse)
    (point,) = probe(root, case_matters=True)
    assert (point.code, point.advice) == ("symlinks", False)


def test_other_trouble_is_told_as_what_it_is(root):
    os.rmdir(root.temp)
    with pytest.raises(FileNotFoundError):
        probe(root, case_matters=True)
