import os

import pytest

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_installer.environments.subjects import Subjects, present_environments
from kitbag_installer.roots import Root


@pytest.fixture
def root(tmp_path):
    for name in ("app", "tool", "no-receipt"):
        (tmp_path / "envs" / name).mkdir(parents=True)
    for name in ("app", "tool"):
        (tmp_path / "envs" / name / ".kitbag").mkdir()
    (tmp_path / "envs" / "3.13" / ".kitbag").mkdir(parents=True)
    return Root(os.fspath(tmp_path))


def test_without_words_everything_is_meant(root):
    subjects = Subjects.of([])
    assert subjects.means_builds
    assert subjects.environments(root) == ("app", "tool") == present_environments(root)


def test_names_mean_no_builds_and_requests_no_environments(root):
    assert not Subjects.of(["app"]).means_builds
    assert Subjects.of(["3.13"]).environments(root) == ()
    both = Subjects.of(["tool", "3.13", "app", "tool"])
    assert both.means_builds
    assert both.environments(root) == ("app", "tool")
    assert [request.text for request in both.requests] == ["3.13"]


def test_a_name_that_is_not_there(root, tmp_path):
    with pytest.raises(NoMatch, match=r"has no environment 'ape'; it has app, tool$"):
        Subjects.of(["app", "ape"]).environments(root)
    none = Root(os.fspath(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"names no Python.*; and .*/none has no environments$"):
        Subjects.of(["ape"]).environments(none)
