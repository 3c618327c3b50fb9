import os

import pytest

from kitbag_installer import commit
from kitbag_installer.environments.places import environment_path, previous_path
from kitbag_installer.environments.remaking import JOURNAL, finish, remade
from kitbag_installer.roots import Root
from support.snapshots import temporary


@pytest.fixture
def root(tmp_path):
    made = Root(os.fspath(tmp_path / "root"))
    made.prepare()
    return made


@pytest.fixture(params=["exchange", "journal"])
def way(request, monkeypatch):
    if request.param == "journal":
        monkeypatch.setattr(commit, "exchange", lambda *_: False)


def fill(path, name):
    os.makedirs(path)
    open(os.path.join(path, name), "w").close()


PLACES = pytest.mark.parametrize("place_of", [environment_path, previous_path])


@PLACES
@pytest.mark.usefixtures("way")
def test_a_new_tree_takes_the_place_and_the_old_one_goes(root, tmp_path, place_of):
    both = [each(root, "app-1") for each in (environment_path, previous_path)]
    for path in both:
        fill(path, "old")
    place = place_of(root, "app-1")
    with remade(root, "app-1", place) as tree:
        assert tree.old == place
        fill(tree.path, "new")
    assert {path: os.listdir(path) for path in both} == {
        path: ["new" if path == place else "old"] for path in both
    }
    assert not temporary(tmp_path / "root")


def test_after_an_error_all_is_as_before(root, tmp_path):
    place = environment_path(root, "app")
    fill(place, "old")
    with pytest.raises(FileExistsError), remade(root, "app", place) as tree:  # noqa: PT012
        fill(tree.path, "new")
        fill(tree.path, "new")
    assert os.listdir(place) == ["old"]
    assert not temporary(tmp_path / "root")


@PLACES
@pytest.mark.parametrize("done", range(4))
def test_a_journal_is_finished_from_anywhere(root, tmp_path, place_of, done):
    """As a run that was cut short leaves it, the next one finishes it."""
    place = place_of(root, "app-1")
    kind = "env" if place_of is environment_path else "previous"
    fill(place, "old")
    staged = root.scratch("next")
    commit.write_journal(root, f"{JOURNAL}{kind}-app-1", os.path.basename(staged))
    if done == 0:
        # Cut short before its tree got the name that the journal has.
        expected = ["old"]
    else:
        expected = ["new"]
        fill(staged, "new")
    if done > 1:
        os.rename(place, root.scratch("trash"))
    if done > 2:
        os.rename(staged, place)
    with commit.swept(root):
        assert os.listdir(place) == expected
    assert not temporary(tmp_path / "root")


def test_a_journal_that_says_nothing_changes_nothing(root, tmp_path):
    place = environment_path(root, "app")
    fill(place, "old")
    journal = os.path.join(root.temp, f"kitbag-journal-{JOURNAL}env-app")
    # As the loss of power can leave a file.
    open(journal, "w").close()
    finish(root, "env-app", journal)
    assert os.listdir(place) == ["old"]
    assert not temporary(tmp_path / "root")
