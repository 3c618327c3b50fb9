"""A project: its lock, its workspace, itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_packer.environments.projects import Project, copied

if TYPE_CHECKING:
    from pathlib import Path


def make(folder: Path, text: str, *locks: str) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    for lock in locks:
        (folder / lock).write_text("")
    return Project.at(folder)


class TestAt:
    @pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock", "pylock.toml"])
    def test_a_file_of_it_will_do(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("")
        assert Project.at(tmp_path / name) == Project(tmp_path) == Project.at(tmp_path)

    def test_what_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no pyproject\.toml and no lock"):
            Project.at(tmp_path)
        with pytest.raises(UsageError, match="is no directory"):
            Project.at(tmp_path / "none")


class TestLock:
    def test_uvs_comes_first(self, tmp_path: Path) -> None:
        assert make(tmp_path, "", "pylock.toml", "uv.lock").lock() == tmp_path / "uv.lock"
        assert make(tmp_path / "a", "", "pylock.toml").lock() == tmp_path / "a/pylock.toml"
        assert make(tmp_path / "b", "").lock() is None

    def test_of_a_workspace(self, tmp_path: Path) -> None:
        make(
            tmp_path,
            '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/out"]\n',
            "uv.lock",
        )
        assert make(tmp_path / "packages/in", "").lock() == tmp_path / "uv.lock"
        assert make(tmp_path / "packages/out", "").lock() is None
        assert make(tmp_path / "else/where", "").lock() is None

    def test_beside_a_pyproject_that_is_none(self, tmp_path: Path) -> None:
        for text in ("x = [", "[tool]\nuv = 3", "[tool.uv]\nworkspace = 1", "[tool.uv]"):
            make(tmp_path, text, "uv.lock")
            assert make(tmp_path / "packages/in", "").lock() is None


class TestDefaultGroups:
    @pytest.mark.parametrize(
        ("settings", "groups"),
        [
            ("", ("Dev",)),
            ('default-groups = ["ops"]', ("Ops",)),
            ('default-groups = "all"', ("Dev", "Ops")),
            ("default-groups = []", ()),
            ("default-groups = 1", ()),
        ],
    )
    def test_are_those_of_uv(self, tmp_path: Path, settings: str, groups: tuple[str, ...]) -> None:
        text = f"[dependency-groups]\nDev = []\nOps = []\n[tool.uv]\n{settings}\n"
        assert make(tmp_path, text).default_groups() == groups

    def test_of_a_project_without_any(self, tmp_path: Path) -> None:
        assert make(tmp_path, "").default_groups() == ()
        (tmp_path / "pyproject.toml").unlink()
        (tmp_path / "uv.lock").write_text("")
        assert Project.at(tmp_path).default_groups() == ()


class TestCheckNames:
    def test_what_it_has(self, tmp_path: Path) -> None:
        text = (
            "[project]\n[project.optional-dependencies]\nWeb_App = []\n"
            "[dependency-groups]\nOps = []\n[tool.uv]\ndev-dependencies = []\n"
        )
        project = make(tmp_path, text)
        project.check_names(("web-app",), ("ops", "dev"))
        with pytest.raises(UsageError, match=r"no extra 'web'; it has web-app|did you mean web-ap"):
            project.check_names(("web",), ())
        with pytest.raises(UsageError, match=r"pyproject\.toml: it knows no dependency group 'op'"):
            project.check_names((), ("op",))

    def test_what_only_a_build_tells(self, tmp_path: Path) -> None:
        text = '[project]\ndynamic = ["optional-dependencies"]\n'
        make(tmp_path, text).check_names(("web",), ())
        (tmp_path / "pyproject.toml").unlink()
        Project(tmp_path).check_names(("web",), ("dev",))


class TestItself:
    @pytest.mark.parametrize(
        ("text", "is_package"),
        [
            ('[project]\nname = "A.b"\n[build-system]\n', True),
            ('[project]\nname = "A.b"\n', False),
            ('[project]\nname = "A.b"\n[tool.uv]\npackage = true\n', True),
            ('[project]\nname = "A.b"\n[build-system]\n[tool.uv]\npackage = false\n', False),
            ("[build-system]\n", False),
        ],
    )
    def test_is_added_where_it_is_a_package(
        self, tmp_path: Path, text: str, is_package: bool
    ) -> None:
        project = make(tmp_path, text)
        itself = {"name": "a-b", "directory": {"path": str(tmp_path)}}
        expected = [itself] if is_package else []
        assert project.added_to({"packages": []})["packages"] == expected

    def test_once(self, tmp_path: Path) -> None:
        project = make(tmp_path, '[project]\nname = "a"\n[build-system]\n')
        lock = {"packages": [{"name": "a"}]}
        assert project.added_to(lock) is lock
        (tmp_path / "pyproject.toml").unlink()
        assert project.added_to({"packages": []}) == {"packages": []}


class TestCopies:
    def test_are_whole_and_end(self, tmp_path: Path) -> None:
        project = make(tmp_path / "app", "")
        (project.folder / ".venv").mkdir()
        (project.folder / "src").mkdir()
        (project.folder / "src/a.py").write_text("A = 1\n")
        (project.folder / "link").symlink_to("src")
        with copied(project.folder) as copy:
            assert (copy / "src/a.py").read_text() == "A = 1\n"
            assert (copy / "link").is_symlink()
            assert not (copy / ".venv").exists()
            assert project.taken_back(os.path.join(copy, "src"), copy) == str(tmp_path / "app/src")
            assert project.taken_back(str(copy), copy) == str(tmp_path / "app")
        assert project.taken_back("../lib", copy) == str(tmp_path / "lib")
        assert not copy.exists()
