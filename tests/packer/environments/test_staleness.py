"""uv.lock against its project: what uv says, and what is left where it can't say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kitbag_packer.environments.staleness import check_lock, is_dynamic
from kitbag_packer.environments.uvtool import Uv
from kitbag_packer.errors import StaleLock
from support.downloading import Notes
from support.projects import make_project
from support.snapshots import snapshot
from support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def links(environ: dict[str, str], tmp_path: Path) -> Path:
    """A directory that uv finds wheels in."""
    folder = tmp_path / "links"
    make_wheel(folder, "demo")
    make_wheel(folder, "leaf")
    environ["UV_FIND_LINKS"] = str(folder)
    return folder


def check(project: Path, environ: dict[str, str], *, offline: bool = True) -> list[str]:
    """What is told; the project is left as it is."""
    notes = Notes()
    before = snapshot(project)
    check_lock(project / "uv.lock", project, Uv(environ=environ, offline=offline), notes)
    assert snapshot(project) == before
    return notes.messages


def locked(folder: Path, environ: dict[str, str], *dependencies: str) -> Path:
    project = make_project(folder / "app", "app", dependencies=dependencies)
    Uv(environ=environ, offline=True).ask(["lock"], project, "the test's own")
    return project


def by_hand(folder: Path, lock: str, *dependencies: str) -> Path:
    """A project for a Python that is not here, so that uv can't check its lock."""
    project = make_project(folder / "app", "app", dependencies=dependencies)
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace(">=3.9", ">=3.98"))
    head = 'version = 1\nrevision = 3\nrequires-python = ">=3.98"\n\n[[package]]\nname = "app"\n'
    (project / "uv.lock").write_text(
        f'{head}version = "1.0"\nsource = {{ editable = "." }}\n{lock}'
    )
    return project


class TestOfUv:
    @pytest.mark.parametrize("offline", [True, False])
    def test_one_that_fits(
        self, tmp_path: Path, environ: dict[str, str], links: Path, offline: bool
    ) -> None:
        project = locked(tmp_path, environ, "demo")
        assert check(project, environ, offline=offline) == []

    @pytest.mark.parametrize("dependency", ["leaf", "demo>=1", "none-such"])
    def test_one_that_does_not(
        self, tmp_path: Path, environ: dict[str, str], links: Path, dependency: str
    ) -> None:
        project = locked(tmp_path, environ, "demo")
        make_project(project, "app", dependencies=["demo", dependency])
        with pytest.raises(StaleLock, match=r"does not go with .* run 'uv lock'") as refused:
            check(project, environ)
        assert "\n" not in str(refused.value)
        assert str(project / "uv.lock") in str(refused.value)

    def test_a_version_that_only_a_build_tells_is_not_built_in_place(
        self, tmp_path: Path, environ: dict[str, str], links: Path
    ) -> None:
        """uv builds such a project where it is as soon as the lock does not fit."""
        project = locked(tmp_path, environ, "demo")
        lock = project / "uv.lock"
        lock.write_text(lock.read_text().replace('name = "app"\nversion = "1.0"', 'name = "app"'))
        pyproject = project / "pyproject.toml"
        text = pyproject.read_text().replace('version = "1.0"', 'dynamic = ["version"]')
        pyproject.write_text(text)
        (project / "backend.py").write_text("open('built', 'w').close()\n")
        assert check(project, environ) == []
        pyproject.write_text(text.replace("['demo']", "['demo', 'leaf']"))
        with pytest.raises(StaleLock):
            check(project, environ)
        assert not (project / "built").exists()

    @pytest.mark.parametrize("dynamic", [False, True])
    def test_a_workspace_with_files_beside_it(
        self, tmp_path: Path, environ: dict[str, str], links: Path, dynamic: bool
    ) -> None:
        root = tmp_path / "deep" / "root"
        root.mkdir(parents=True)
        (root / "uv.toml").write_text(f'find-links = ["{links}"]\n')
        (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
        sources = (
            "[tool.uv.sources]\n"
            'beside = { path = "../../../beside" }\n'
            'leaf = { path = "../../../../links/leaf-1.0-py3-none-any.whl" }\n'
        )
        one = make_project(
            root / "packages/one", "one", dependencies=["beside", "leaf"], more=sources
        )
        if dynamic:
            text = (one / "pyproject.toml").read_text()
            text = text.replace('version = "1.0"', 'dynamic = ["version"]')
            (one / "pyproject.toml").write_text(text)
        make_project(tmp_path / "deep/beside", "beside", dependencies=["demo"])
        del environ["UV_NO_CONFIG"], environ["UV_FIND_LINKS"]
        uv = Uv(environ=environ, offline=True)
        uv.ask(["lock"], root, "the test's own")
        notes = Notes()
        before = snapshot(tmp_path / "deep")
        check_lock(root / "uv.lock", one, uv, notes)
        assert notes.messages == []
        make_project(tmp_path / "deep/beside", "beside", dependencies=["demo", "leaf"])
        with pytest.raises(StaleLock):
            check_lock(root / "uv.lock", one, uv, notes)
        make_project(tmp_path / "deep/beside", "beside", dependencies=["demo"])
        assert snapshot(tmp_path / "deep") == before


class TestWithoutUvsWord:
    def test_the_names_tell(self, tmp_path: Path, environ: dict[str, str]) -> None:
        lock = '\n[package.metadata]\nrequires-dist = [{ name = "demo-x" }, { name = "leaf" }]\n'
        project = by_hand(tmp_path, lock, "Demo_X>=1", "leaf; sys_platform == 'win32'")
        told = check(project, environ)
        assert len(told) == 1
        assert "is taken as it is: uv could not tell" in told[0]
        make_project(project, "app", dependencies=["demo-x"])
        by_hand(tmp_path, lock, "demo-x")
        with pytest.raises(StaleLock):
            check(project, environ)

    def test_a_lock_without_requirements(self, tmp_path: Path, environ: dict[str, str]) -> None:
        assert len(check(by_hand(tmp_path, ""), environ)) == 1
        with pytest.raises(StaleLock):
            check(by_hand(tmp_path, "", "demo"), environ)

    def test_what_only_a_build_tells_is_not_built(
        self, tmp_path: Path, environ: dict[str, str], links: Path
    ) -> None:
        project = locked(tmp_path, environ, "demo")
        pyproject = project / "pyproject.toml"
        text = pyproject.read_text().replace(
            "dependencies = ['demo']", 'dynamic = ["dependencies"]'
        )
        pyproject.write_text(text + "\n[tool.none]\n")
        (project / "backend.py").write_text("open('built', 'w').close()\n")
        told = check(project, environ, offline=False)
        assert len(told) == 1
        assert "only a build could tell" in told[0]


@pytest.mark.parametrize(
    ("text", "dynamic"),
    [
        ('[project]\nname = "a"\ndynamic = ["version"]\n', False),
        ('[project]\nname = "a"\ndynamic = ["dependencies"]\n', True),
        ('[project]\nname = "a"\ndynamic = ["optional-dependencies", "version"]\n', True),
        ('[project]\nname = "a"\ndynamic = 3\n', False),
        ("[tool.uv.workspace]\nmembers = []\n", False),
        ("[build-system]\n", True),
        ("x = [", True),
    ],
)
def test_what_is_dynamic(tmp_path: Path, text: str, dynamic: bool) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert is_dynamic(tmp_path) == dynamic
    (tmp_path / "pyproject.toml").unlink()
    assert is_dynamic(tmp_path)
