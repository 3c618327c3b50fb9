import pytest

from kitbag_bundles.errors import UsageError
from kitbag_packer.environments.model import Spec
from kitbag_packer.recipes.whereabouts import Whereabouts


@pytest.fixture
def where(tmp_path) -> Whereabouts:
    (tmp_path / "app").mkdir()
    (tmp_path / "recipe").mkdir()
    return Whereabouts.of(Spec("app", "project", tmp_path / "app"), tmp_path / "recipe")


def test_paths_are_relative_to_the_project(where, tmp_path):
    assert where.relative(str(tmp_path / "app" / "wheels" / "a b.whl")) == "wheels/a b.whl"
    assert where.relative(str(tmp_path / "app")) == "."
    assert where.relative(str(tmp_path / "recipe" / "x.whl")) == "../recipe/x.whl"
    assert where.relative(str(tmp_path / "apples" / "x.whl")) == ""
    assert where.relative("/elsewhere/x.whl") == ""
    for path in ("wheels/a b.whl", "../recipe/x.whl", "."):
        assert where.relative(str(where.locate(path))) == path


def test_a_list_of_packages_has_a_folder(tmp_path):
    where = Whereabouts.of(Spec("app", "lock", tmp_path / "pylock.toml"), tmp_path / "recipe")
    assert where.relative(str(tmp_path / "x.whl")) == "x.whl"


def test_members_of_a_workspace(tmp_path):
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["app"]\n')
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "pyproject.toml").write_text("")
    where = Whereabouts.of(Spec("app", "project", tmp_path / "app"), tmp_path / "app")
    assert where.relative(str(tmp_path / "lib")) == "../lib"


def test_addresses_of_files(where, tmp_path):
    near = (tmp_path / "app" / "x.whl").as_uri()
    assert where.public((near,)) == ("", "x.whl")
    assert where.public(("https://me:secret@h.example/x.whl?t=1#y",)) == (
        "https://h.example/x.whl",
        "",
    )
    assert where.public((near, "https://h.example/x.whl")) == ("https://h.example/x.whl", "x.whl")
    assert where.public(("file:///elsewhere/x.whl",)) == ("", "")


def test_repositories(where, tmp_path):
    assert where.repository("https://me:secret@h.example/x.git", "x") == "https://h.example/x.git"
    assert where.repository("ssh://git:secret@h.example/x", "x") == "ssh://git@h.example/x"
    inside = tmp_path / "app" / "x"
    assert where.repository(str(inside), "x") == "x"
    assert where.repository(inside.as_uri(), "x") == "x"
    assert where.locate_repository("x") == str(inside)
    assert where.locate_repository("https://h.example/x.git") == "https://h.example/x.git"
    with pytest.raises(UsageError, match="x comes from a repository that no other machine has"):
        where.repository("/elsewhere", "x")


def test_a_folder_that_nobody_else_has(where, tmp_path):
    assert where.folder(str(tmp_path / "app" / "lib"), "lib") == "lib"
    with pytest.raises(UsageError, match="lib 1 is built from /elsewhere, which is neither below"):
        where.folder("/elsewhere", "lib 1")
