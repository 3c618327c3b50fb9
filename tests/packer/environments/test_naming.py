from pathlib import Path

import pytest

from kitbag_packer.environments.model import Spec
from kitbag_packer.environments.naming import DEFAULT, problems, project_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[project]\nname = "My_App.x"\n', "my-app-x"),
        ("[project]\n", DEFAULT),
        ("[project]\nname = 1\n", DEFAULT),
        ('[project]\nname = ""\n', DEFAULT),
        ("project = 1\n", DEFAULT),
        ("[tool.x]\n", DEFAULT),
        ("not toml", DEFAULT),
        ("\udcff", DEFAULT),
    ],
)
def test_a_project_has_a_name(tmp_path, text, name):
    (tmp_path / "pyproject.toml").write_text(text, "utf-8", "surrogateescape")
    assert project_name(tmp_path) == name
    assert project_name(tmp_path / "pyproject.toml") == name


def test_a_project_that_is_not_there(tmp_path):
    assert project_name(tmp_path / "x") == DEFAULT


def spec(**more) -> Spec:
    return Spec(**{"name": "app", "kind": "lock", "path": Path("x"), **more})


def test_what_may_be_called_so():
    assert not [
        *problems(
            spec(
                name="a.b_c-1",
                extras=("Web", "x.y"),
                groups=("dev",),
                expose=("serve", "Run.me"),
                run="_x",
                glibc="2.28",
            )
        )
    ]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": "3.13"}, "name"),
        ({"name": "pypy"}, "name"),
        ({"name": "App"}, "name"),
        ({"name": "con"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"extras": ("-x",)}, "extras"),
        ({"groups": ("x y",)}, "groups"),
        ({"expose": ("../x",)}, "expose"),
        ({"run": "x y"}, "run"),
        ({"glibc": "2"}, "glibc"),
        ({"glibc": "3.1"}, "glibc"),
    ],
)
def test_what_can_not_be_called_so(more, field):
    ((found, text),) = problems(spec(**more))
    assert found == field
    assert "; " in text
