"""Locks of every kind, with the real uv and an index on loopback that asks who is there."""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.errors import DigestMismatch, KitbagError, UsageError
from kitbag_bundles.keys import Target
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.locks import Locks, read_pylock
from kitbag_packer.environments.model import For, Spec
from kitbag_packer.errors import OfflineError, ResolverError, StaleLock, Unverified
from support.downloading import Fetching, Notes, download
from support.projects import make_project, make_sdist
from support.snapshots import snapshot
from support.uvtool import uv_program
from support.webserver import WebServer, serving
from support.wheels import make_wheel, pylock_of, sha256_of, simple_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.pylock import Package, Pylock

ME, SECRET = "me", "s3cret-of-mine"
LINUX = "linux-x86_64-gnu"
WINDOWS = "windows-x86_64-none"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the index has, by file name."""
    folder = tmp_path_factory.mktemp("files")
    made = [
        make_wheel(folder, "demo", "1.0"),
        make_wheel(folder, "demo", "2.0", requires=["leaf", "extra-leaf; extra == 'more'"]),
        make_sdist(folder, "demo", "2.0"),
        make_wheel(folder, "leaf", "1.5"),
        make_wheel(folder, "extra-leaf"),
        make_wheel(folder, "only-windows"),
        *(
            make_wheel(folder, "speed", tags=f"cp313-cp313-{tag}")
            for tag in ("manylinux_2_28_x86_64", "manylinux_2_34_x86_64", "win_amd64")
        ),
        make_sdist(folder, "source", "1.0"),
    ]
    return {path.name: path for path in made}


@pytest.fixture
def index(files: dict[str, Path]) -> Iterator[WebServer]:
    with serving(simple_index(files.values()), basic=f"{ME}:{SECRET}") as server:
        yield server


def with_account(server: WebServer, path: str = "simple/") -> str:
    return server.url.replace("//", f"//{ME}:{SECRET}@") + path


@dataclass
class Desk:
    """Everything that reads a lock."""

    environ: dict[str, str]
    notes: Notes
    accounts: Accounts

    def locks(self, **more: Any) -> Locks:
        return Locks(self.notes, accounts=self.accounts, environ=self.environ, **more)

    def read(
        self,
        kind: str,
        path: Path,
        target: str = LINUX,
        version: str = "3.13.5",
        implementation: str = "cpython",
        *,
        offline: bool = False,
        **spec: Any,
    ) -> Pylock:
        place = For(implementation, version, "", Target.parse(target))
        return self.locks(offline=offline).read(Spec("app", kind, path, **spec), place)

    def uv(self, folder: Path, *arguments: str) -> str:
        answer = self.locks().uv.ask(arguments, folder, "the test's own uv")
        return answer.out

    def refused(self, kind: str, path: Path, **more: Any) -> KitbagError:
        with pytest.raises(KitbagError) as refused:
            self.read(kind, path, **more)
        told = str(refused.value)
        assert "\n" not in told
        assert SECRET not in told + "".join(self.notes.messages)
        return refused.value


@pytest.fixture
def desk(environ: dict[str, str], index: WebServer) -> Desk:
    environ["UV_DEFAULT_INDEX"] = with_account(index)
    return Desk(environ, Notes(), Accounts())


def named(pylock: Pylock) -> dict[str, Package]:
    found = {str(package.name): package for package in pylock.packages}
    assert len(found) == len(pylock.packages)
    assert SECRET not in repr(pylock)
    return found


def filenames(package: Package) -> set[str]:
    wheels = {wheel.filename for wheel in package.wheels or ()}
    return wheels | ({package.sdist.filename} if package.sdist else set())


def app(folder: Path, *dependencies: str, more: str = "") -> Path:
    return make_project(folder / "app", "app", dependencies=dependencies, more=more)


class TestLocks:
    def test_a_pylock_as_it_is_without_any_uv(
        self, tmp_path: Path, files: dict[str, Path], environ: dict[str, str]
    ) -> None:
        path = tmp_path / "pylock.dev.toml"
        path.write_text(pylock_of([files["demo-1.0-py3-none-any.whl"]]))
        environ["PATH"] = ""
        desk = Desk(environ, Notes(), Accounts())
        found = named(desk.read("lock", path))
        assert filenames(found["demo"]) == {"demo-1.0-py3-none-any.whl"}

    @pytest.mark.parametrize(
        ("name", "advice"),
        [
            ("uv.lock", "--project"),
            ("requirements.txt", "--requirements"),
            ("pylock.a.b.toml", "uv export"),
            ("lock.toml", "uv export"),
            ("", "this directory with --project"),
        ],
    )
    def test_other_names(self, tmp_path: Path, desk: Desk, name: str, advice: str) -> None:
        if name:
            (tmp_path / name).write_text("")
        told = str(desk.refused("lock", tmp_path / name))
        assert f"{tmp_path / name} is not called pylock.toml" in told
        assert advice in told

    def test_the_short_form(self, tmp_path: Path, files: dict[str, Path]) -> None:
        path = tmp_path / "pylock.toml"
        path.write_text(pylock_of([files["demo-1.0-py3-none-any.whl"]]))
        spec = Spec("app", "lock", path)
        found = read_pylock(spec, For("cpython", "3.13", "", Target.parse(LINUX)), Notes())
        assert "demo" in named(found)

    def test_where_it_is(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path)
        locks = desk.locks()
        assert locks.lock_of(Spec("a", "project", project)) == project / "pyproject.toml"
        (project / "uv.lock").write_text("")
        assert locks.lock_of(Spec("a", "project", project)) == project / "uv.lock"
        assert locks.lock_of(Spec("a", "lock", tmp_path / "x")) == tmp_path / "x"


class TestUvLock:
    def test_extras_groups_markers_and_the_project_itself(
        self, tmp_path: Path, desk: Desk, index: WebServer
    ) -> None:
        project = app(
            tmp_path,
            "demo<2",
            "only-windows; sys_platform == 'win32'",
            more='[project.optional-dependencies]\nmore = ["leaf"]\n'
            '[dependency-groups]\ndev = ["source"]\nops = ["speed"]\n',
        )
        desk.uv(project, "lock")
        before, asked = snapshot(project), index.count()
        plain = desk.read("project", project, groups=())
        assert set(named(plain)) == {"app", "demo", "only-windows"}
        assert str(named(plain)["only-windows"].marker) == 'sys_platform == "win32"'
        directory = named(plain)["app"].directory
        assert directory is not None
        assert directory.path == str(project)
        assert list(plain.extras or ()) == list(plain.dependency_groups or ()) == []
        much = desk.read("project", project, extras=("More",), groups=("ops",))
        assert set(named(much)) == {"app", "demo", "only-windows", "leaf", "speed"}
        assert list(much.extras or ()) == ["more"]
        assert list(much.dependency_groups or ()) == ["ops"]
        assert snapshot(project) == before
        assert index.count() == asked
        assert desk.notes.messages == []

    def test_what_is_for_development_stays_at_home(self, tmp_path: Path, desk: Desk) -> None:
        project = app(
            tmp_path, "demo<2", more='[dependency-groups]\ndev = ["source"]\nops = ["speed"]\n'
        )
        desk.uv(project, "lock")
        assert set(named(desk.read("project", project))) == {"app", "demo"}
        (told,) = desk.notes.messages
        assert "development stays at home (dev); --group dev takes it along" in told
        named_one = desk.read("project", project, groups=("dev",))
        assert set(named(named_one)) == {"app", "demo", "source"}
        (project / "uv.lock").unlink()
        assert set(named(desk.read("project", project))) == {"app", "demo"}
        assert set(desk.notes.messages) == {told}

    def test_unknown_extras_and_groups(self, tmp_path: Path, desk: Desk) -> None:
        more = (
            '\n[project.optional-dependencies]\nmore = ["leaf"]\n\n[dependency-groups]\nops = []\n'
        )
        project = app(tmp_path, "demo", more=more)
        for _ in range(2):
            for what, which in (("extra", "more"), ("dependency group", "ops")):
                told = desk.refused("project", project, **{f"{what.split()[-1]}s": ("nope",)})
                assert isinstance(told, UsageError)
                start = f"{project}/pyproject.toml: it knows no {what} 'nope'; it has "
                assert str(told).startswith(start)
                assert which in str(told)
            desk.uv(project, "lock")

    def test_asked_once_for_all_targets(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path, "demo")
        desk.uv(project, "lock")
        locks = desk.locks()
        spec = Spec("app", "project", project)
        places = [For("cpython", "3.13.5", "", Target.parse(each)) for each in (LINUX, WINDOWS)]
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda place: locks.read(spec, place), places * 3))
        assert all(each is found[0] for each in found)

    def test_a_member_of_a_workspace(self, tmp_path: Path, desk: Desk) -> None:
        root = tmp_path / "root"
        root.mkdir()
        (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
        one = make_project(
            root / "packages/one",
            "one",
            dependencies=["two", "demo<2"],
            more="[tool.uv.sources]\ntwo = { workspace = true }\n",
        )
        two = make_project(root / "packages/two", "two", dependencies=["leaf"])
        desk.uv(root, "lock")
        before = snapshot(root)
        found = named(desk.read("project", one))
        assert set(found) == {"one", "two", "demo", "leaf"}
        places = [found[name].directory for name in ("one", "two")]
        assert [place.path for place in places if place] == [str(one), str(two)]
        assert set(named(desk.read("project", two))) == {"two", "leaf"}
        assert set(named(desk.read("project", root))) == {"one", "two", "demo", "leaf"}
        assert snapshot(root) == before

    def test_several_forks(self, tmp_path: Path, desk: Desk) -> None:
        project = app(
            tmp_path, "demo<2; sys_platform == 'win32'", "demo>=2; sys_platform != 'win32'"
        )
        desk.uv(project, "lock")
        found = desk.read("project", project)
        versions = {str(each.version) for each in found.packages if each.name == "demo"}
        assert versions == {"1.0", "2.0"}
        assert all(each.marker for each in found.packages if each.name == "demo")

    def test_credentials_of_a_direct_address_go_to_the_accounts(
        self, tmp_path: Path, desk: Desk, index: WebServer
    ) -> None:
        wheel = with_account(index, "files/demo-1.0-py3-none-any.whl")
        project = app(tmp_path, f"demo @ {wheel}")
        desk.uv(project, "lock")
        found = named(desk.read("project", project))
        assert found["demo"].archive is not None
        assert found["demo"].archive.url == f"{index.url}files/demo-1.0-py3-none-any.whl"
        assert desk.accounts.of(found["demo"].archive.url) == (ME, SECRET)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("x = [", "Failed to parse"),
            ('version = 99\nrequires-python = ">=3.9"\n', "unsupported schema version"),
        ],
    )
    def test_one_that_uv_can_t_read(self, tmp_path: Path, desk: Desk, text: str, told: str) -> None:
        project = app(tmp_path)
        (project / "uv.lock").write_text(text)
        refused = str(desk.refused("project", project))
        assert f"{project / 'uv.lock'} can't be read: uv says: " in refused
        assert told in refused

    def test_one_that_is_out_of_date(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path, "demo<2")
        desk.uv(project, "lock")
        app(tmp_path, "demo<2", "leaf")
        told = desk.refused("project", project)
        assert isinstance(told, StaleLock)
        assert "run 'uv lock'" in str(told)


class TestPylockOfProject:
    def test_with_the_project_itself(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk
    ) -> None:
        project = app(tmp_path, "demo<2")
        (project / "pylock.toml").write_text(pylock_of([files["demo-1.0-py3-none-any.whl"]]))
        found = named(desk.read("project", project))
        assert set(found) == {"app", "demo"}


class TestWithoutLock:
    def test_resolved_per_target(self, tmp_path: Path, desk: Desk) -> None:
        project = app(
            tmp_path,
            "demo[more]",
            "speed",
            "only-windows; sys_platform == 'win32'",
            more='[dependency-groups]\nops = ["source"]\n',
        )
        before = snapshot(project)
        linux = named(desk.read("project", project))
        assert set(linux) == {"app", "demo", "leaf", "extra-leaf", "speed"}
        assert filenames(linux["speed"]) == {"speed-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"}
        windows = desk.read("project", project, WINDOWS, groups=("ops",))
        assert set(named(windows)) == {*linux, "only-windows", "source"}
        assert filenames(named(windows)["speed"]) == {"speed-1.0-cp313-cp313-win_amd64.whl"}
        assert list(windows.dependency_groups or ()) == ["ops"]
        newer = named(desk.read("project", project, glibc="2.34"))
        assert "speed-1.0-cp313-cp313-manylinux_2_34_x86_64.whl" in filenames(newer["speed"])
        assert snapshot(project) == before

    def test_for_what_uv_has_no_name_markers_stay(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path, "only-windows; sys_platform == 'win32'", "leaf")
        for target, implementation in ((LINUX, "pypy"), ("linux-s390x-gnu", "cpython")):
            found = desk.read("project", project, target, implementation=implementation)
            assert named(found)["only-windows"].marker is not None

    def test_a_dynamic_one_is_built_in_a_copy(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path)
        lib = make_project(project / "lib", "lib")
        text = (project / "pyproject.toml").read_text()
        text = text.replace("dependencies = []", 'dynamic = ["dependencies"]')
        (project / "pyproject.toml").write_text(text)
        backend = (project / "backend.py").read_text()
        backend = backend.replace("Version: 1.0", "Version: 1.0\\nRequires-Dist: leaf", 1)
        backend += "\nopen('written.txt', 'w').close()\n"
        (project / "backend.py").write_text(backend)
        before = snapshot(project)
        assert {"app", "leaf"} <= set(named(desk.read("project", project)))
        assert snapshot(project) == before
        assert lib.is_dir()

    def test_errors_of_a_copy_name_the_project(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path)
        pyproject = project / "pyproject.toml"
        pyproject.write_text(
            pyproject.read_text().replace("dependencies = []", 'dynamic = ["dependencies"]')
        )
        (project / "backend.py").write_text("raise SystemExit(__file__)\n")
        told = str(desk.refused("project", project))
        assert f"{project}/backend.py" in told
        assert "kitbag-project" not in told

    @pytest.mark.parametrize(
        ("text", "told"), [("x = [", "is not TOML"), ("[tool.x]\n", "has no [project] table")]
    )
    def test_a_pyproject_that_says_nothing(
        self, tmp_path: Path, desk: Desk, text: str, told: str
    ) -> None:
        (tmp_path / "pyproject.toml").write_text(text)
        assert told in str(desk.refused("project", tmp_path))

    def test_it_is_for_the_pythons_that_the_project_is_for(
        self, tmp_path: Path, desk: Desk
    ) -> None:
        found = desk.read("project", app(tmp_path, "leaf"), version="3.8.1")
        assert str(found.requires_python) == ">=3.9"

    def test_one_that_can_t_be(self, tmp_path: Path, desk: Desk) -> None:
        project = app(tmp_path, "demo>=7")
        told = desk.refused("project", project, target=WINDOWS)
        assert isinstance(told, ResolverError)
        assert "for Python 3.13.5 on windows-x86_64-none: uv says: No solution" in str(told)
        assert "demo" in str(told)

    def test_offline(self, tmp_path: Path, desk: Desk, index: WebServer) -> None:
        project = app(tmp_path, "demo")
        assert isinstance(desk.refused("project", project, offline=True), OfflineError)
        assert index.count() == 0
        named(desk.read("project", project))
        assert "demo" in named(desk.read("project", project, offline=True))

    def test_without_uv_the_advice_says_how(
        self, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "uv", None)
        desk.environ["PATH"] = str(tmp_path)
        told = desk.refused("project", app(tmp_path, "demo"))
        assert isinstance(told, UsageError)
        assert "pip install uv" in str(told)


class TestRequirements:
    def write(self, folder: Path, files: dict[str, Path], *lines: str) -> Path:
        """A file whose lines name a requirement and the files that it may be."""
        path = folder / "requirements.txt"
        text = ""
        for line in lines:
            requirement, *allowed = line.split(" <- ")
            hashes = "".join(f" --hash=sha256:{sha256_of(files[each])}" for each in allowed)
            text += f"{requirement}{hashes}\n"
        path.write_text(text)
        return path

    def test_only_files_with_those_hashes_stay(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk
    ) -> None:
        path = self.write(
            tmp_path,
            files,
            "demo==2.0 <- demo-2.0-py3-none-any.whl",
            "only_windows==1.0 ; sys_platform == 'win32' <- only_windows-1.0-py3-none-any.whl",
            "speed==1.0 <- speed-1.0-cp313-cp313-win_amd64.whl"
            " <- speed-1.0-cp313-cp313-manylinux_2_28_x86_64.whl",
        )
        folder = snapshot(path) | dict.fromkeys(os.listdir(tmp_path))
        found = named(desk.read("requirements", path))
        assert set(found) == {"demo", "only-windows", "speed"}
        assert filenames(found["demo"]) == {"demo-2.0-py3-none-any.whl"}
        assert len(filenames(found["speed"])) == 2
        assert found["only-windows"].marker is not None
        assert snapshot(path) | dict.fromkeys(os.listdir(tmp_path)) == folder

    def test_a_hash_that_no_file_has_names_its_line(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk
    ) -> None:
        path = self.write(tmp_path, files, "", "demo==1.0 <- demo-2.0-py3-none-any.whl")
        told = desk.refused("requirements", path)
        assert isinstance(told, DigestMismatch)
        assert f"{path}, line 2: demo 1.0 has no file with a hash" in str(told)
        wrong = ("demo==1.0 <- demo-2.0-py3-none-any.whl", "leaf==1.5 <- demo-2.0-py3-none-any.whl")
        told = desk.refused("requirements", self.write(tmp_path, files, *wrong))
        assert f"{path}, line 1: demo 1.0, {path}, line 2: leaf 1.5 have no file" in str(told)

    def test_a_lock_is_no_list_of_requirements(self, tmp_path: Path, desk: Desk) -> None:
        for name, advice in (("pylock.toml", "it with --lock"), ("uv.lock", "with --project")):
            (tmp_path / name).write_text("")
            assert advice in str(desk.refused("requirements", tmp_path / name))

    def test_what_is_not_hashed_is_refused_before_uv_is_asked(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk, index: WebServer
    ) -> None:
        path = self.write(tmp_path, files, "demo==1.0")
        assert isinstance(desk.refused("requirements", path), Unverified)
        assert index.count() == 0

    def test_a_version_that_is_gone(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk
    ) -> None:
        path = self.write(tmp_path, files, "demo==9.0 <- demo-1.0-py3-none-any.whl")
        told = str(desk.refused("requirements", path))
        assert "can't be looked up: uv says: No solution" in told

    def test_a_yanked_version_is_told_once(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk, index: WebServer
    ) -> None:
        page = index.content["/simple/demo/"].replace(b"<a ", b'<a data-yanked="broken build" ')
        index.content["/simple/demo/"] = page
        path = self.write(tmp_path, files, "demo==1.0 <- demo-1.0-py3-none-any.whl")
        locks = desk.locks()
        spec = Spec("app", "requirements", path)
        for version in ("3.12.1", "3.13.5"):
            locks.read(spec, For("cpython", version, "", Target.parse(LINUX)))
        assert len(desk.notes.messages) == 1
        assert "yanked" in desk.notes.messages[0]
        assert "broken build" in desk.notes.messages[0]

    def test_options_of_the_file_and_its_variables(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk, index: WebServer
    ) -> None:
        del desk.environ["UV_DEFAULT_INDEX"]
        address = index.url.replace("//", "//${WHO}:${TOKEN_X}@") + "simple/"
        desk.environ |= {"WHO": ME, "TOKEN_X": SECRET}
        path = self.write(
            tmp_path, files, f"--index-url {address}", "leaf==1.5 <- leaf-1.5-py3-none-any.whl"
        )
        found = named(desk.read("requirements", path))
        assert found["leaf"].wheels is not None
        assert desk.accounts.of(found["leaf"].wheels[0].url or "") == (ME, SECRET)

    def test_local_files_are_relative_to_it(
        self, tmp_path: Path, files: dict[str, Path], desk: Desk
    ) -> None:
        place = tmp_path / "wheels"
        place.mkdir()
        wheel = place / "leaf-1.5-py3-none-any.whl"
        wheel.write_bytes(files[wheel.name].read_bytes())
        path = self.write(tmp_path, files, f"./wheels/{wheel.name} <- {wheel.name}")
        found = named(desk.read("requirements", path))
        assert found["leaf"].archive is not None
        assert found["leaf"].archive.path == str(wheel)


class TestCredentials:
    """Each way to say who one is; what uv finds with it is fetched with it too."""

    def check(self, desk: Desk, folder: Path, fetching: Fetching) -> None:
        project = app(folder, "leaf")
        found = desk.read("project", project)
        wheels = named(found)["leaf"].wheels
        assert wheels is not None
        url = wheels[0].url or ""
        data = fetching.one(
            download(b"", url, sha256=wheels[0].hashes["sha256"], filename=wheels[0].filename),
            accounts=desk.accounts,
        )
        assert hashlib.sha256(data).hexdigest() == wheels[0].hashes["sha256"]
        kept = [p for p in fetching.cache.folder.rglob("*") if p.is_file()]
        assert not any(SECRET.encode() in path.read_bytes() for path in kept)
        assert SECRET not in "".join(desk.notes.messages) + repr(fetching.notes.tracks)

    def test_in_a_variable_of_uv(self, tmp_path: Path, desk: Desk, fetching: Fetching) -> None:
        self.check(desk, tmp_path, fetching)

    def test_of_a_named_index(
        self, tmp_path: Path, desk: Desk, fetching: Fetching, index: WebServer
    ) -> None:
        del desk.environ["UV_DEFAULT_INDEX"], desk.environ["UV_NO_CONFIG"]
        text = f'[[index]]\nname = "corp"\nurl = "{index.url}simple/"\ndefault = true\n'
        (tmp_path / "uv.toml").write_text(text)
        desk.environ |= {"UV_INDEX_CORP_USERNAME": ME, "UV_INDEX_CORP_PASSWORD": SECRET}
        self.check(desk, tmp_path, fetching)

    def test_in_the_projects_own_table(
        self, tmp_path: Path, desk: Desk, fetching: Fetching, index: WebServer
    ) -> None:
        del desk.environ["UV_DEFAULT_INDEX"], desk.environ["UV_NO_CONFIG"]
        text = f'[[tool.uv.index]]\nurl = "{with_account(index)}"\ndefault = true\n'
        project = app(tmp_path, "leaf", more=text)
        found = desk.read("project", project)
        assert "leaf" in named(found)
        assert desk.accounts.of(f"{index.url}files/x") == (ME, SECRET)

    def test_of_pips_configuration(
        self, tmp_path: Path, desk: Desk, fetching: Fetching, index: WebServer
    ) -> None:
        del desk.environ["UV_DEFAULT_INDEX"]
        conf = tmp_path / "pip.conf"
        conf.write_text(f"[global]\nindex-url = {with_account(index)}\n")
        desk.environ["PIP_CONFIG_FILE"] = str(conf)
        self.check(desk, tmp_path, fetching)

    def test_of_netrc(
        self,
        tmp_path: Path,
        desk: Desk,
        fetching: Fetching,
        index: WebServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1\nlogin {ME}\npassword {SECRET}\n")
        netrc.chmod(0o600)
        desk.environ |= {"UV_DEFAULT_INDEX": f"{index.url}simple/", "NETRC": str(netrc)}
        monkeypatch.setenv("NETRC", str(netrc))
        self.check(desk, tmp_path, fetching)

    def test_wrong_ones_are_one_line_without_them(
        self, tmp_path: Path, desk: Desk, index: WebServer
    ) -> None:
        wrong = "wr0ng-password"
        desk.environ["UV_DEFAULT_INDEX"] = with_account(index).replace(SECRET, wrong)
        told = str(desk.refused("project", app(tmp_path, "leaf")))
        assert "401" in told
        assert wrong not in told

    def test_no_process_can_see_them(
        self, tmp_path: Path, desk: Desk, index: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Command lines are for everybody to read."""
        seen = tmp_path / "seen"
        program = tmp_path / "spy"
        program.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec {uv_program()} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setattr(
            "kitbag_packer.environments.uvtool.find_uv", lambda environ: str(program)
        )
        named(desk.read("project", app(tmp_path, "leaf")))
        assert "compile" in seen.read_text()
        assert SECRET not in seen.read_text()


def test_interrupted_reading_leaves_nothing(tmp_path: Path, desk: Desk) -> None:
    locks = desk.locks()
    locks.uv.stop()
    before = set(os.listdir(tmp_path))
    with pytest.raises(KitbagError, match="stopped"):
        locks.read(
            Spec("a", "project", app(tmp_path, "leaf")),
            For("cpython", "3.13.5", "", Target.parse(LINUX)),
        )
    assert set(os.listdir(tmp_path)) - before == {"app"}
