import io
import os
import stat
import tarfile
import zipfile

import pytest

from kitbag_bundles.errors import ArchiveError, UsageError
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.model import Pick
from kitbag_packer.environments.processes import Processes
from kitbag_packer.environments.sourcetrees import lay_out
from kitbag_packer.errors import OfflineError
from support.projects import make_project, make_sdist

EPOCH = 1_600_000_000


@pytest.fixture
def lay(tmp_path, environ):
    def call(pick, file=None, **more):
        more = {"accounts": Accounts(), **more}
        return lay_out(
            pick,
            file,
            tmp_path / "laid",
            epoch=EPOCH,
            processes=Processes(),
            environ=environ,
            **more,
        )

    return call


def sdist(path) -> Pick:
    return Pick("app", "1.0", "sdist", filename=path.name)


def directory(path, **fields) -> Pick:
    return Pick("app", "", "directory", path=str(path), **fields)


def make_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_times_and_modes_are_the_same_for_everybody(tmp_path, lay):
    project = make_project(tmp_path / "project", "app")
    (project / "run.sh").write_text("x")
    (project / "run.sh").chmod(0o700)
    (project / "backend.py").chmod(0o600)
    (project / "pkg").mkdir(mode=0o700)
    top = lay(directory(project))
    assert top.name == "project"
    for path in (top, *top.rglob("*")):
        status = path.stat()
        assert status.st_mtime == EPOCH
        executable = path.is_dir() or path.name == "run.sh"
        assert stat.S_IMODE(status.st_mode) == (0o755 if executable else 0o644)


def test_what_no_build_needs_is_left_out(tmp_path, lay):
    project = make_project(tmp_path / "project", "app", files={"src/pkg/a.py": ""})
    for name in (".venv", ".tox", "src/__pycache__", "src/.mypy_cache"):
        (project / name).mkdir(parents=True)
    (project / ".venv" / "pyvenv.cfg").write_text("")
    (project / "app.kitbag").write_bytes(b"x")
    os.mkfifo(project / "pipe")
    (project / "link").symlink_to("src")
    (project / "dangling").symlink_to("nowhere")
    (tmp_path / "README").write_text("outside")
    (project / "README").symlink_to("../README")
    (project / "secrets").symlink_to(tmp_path)
    top = lay(directory(project))
    names = {path.relative_to(top).as_posix() for path in top.rglob("*")}
    assert {"src/pkg/a.py", "link", "README"} <= names
    assert not names & {".venv", ".tox", "src/__pycache__", "app.kitbag", "pipe", "secrets"}
    assert os.readlink(top / "link") == "src"
    assert not (top / "README").is_symlink()
    assert (top / "README").read_text() == "outside"


def test_source_distributions_of_both_forms(tmp_path, lay):
    path = make_sdist(tmp_path, "app")
    assert (lay(sdist(path), path) / "pyproject.toml").is_file()


def test_a_zip(tmp_path, lay):
    path = tmp_path / "app-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("app-1.0/pyproject.toml", "")
    assert (lay(sdist(path), path) / "pyproject.toml").is_file()


def test_links_inside_stay(tmp_path, lay):
    soft, hard = tarfile.TarInfo("app-1.0/soft"), tarfile.TarInfo("app-1.0/hard")
    soft.type, soft.linkname = tarfile.SYMTYPE, "a.txt"
    hard.type, hard.linkname = tarfile.LNKTYPE, "app-1.0/a.txt"
    path = make_tar(tmp_path / "app-1.0.tar.gz", ("app-1.0/a.txt", b"A"), (soft, b""), (hard, b""))
    top = lay(sdist(path), path)
    assert (top / "soft").read_text() == (top / "hard").read_text() == "A"


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "app-1.0/../../evil"])
def test_names_that_lead_out(tmp_path, lay, name):
    path = make_tar(tmp_path / "app-1.0.tar.gz", (name, b"x"))
    with pytest.raises(ArchiveError):
        lay(sdist(path), path)


def test_links_that_lead_out(tmp_path, lay):
    link = tarfile.TarInfo("app-1.0/link")
    link.type, link.linkname = tarfile.SYMTYPE, "../../.."
    path = make_tar(tmp_path / "app-1.0.tar.gz", (link, b""))
    with pytest.raises(ArchiveError):
        lay(sdist(path), path)


def test_no_single_folder(tmp_path, lay):
    path = make_tar(tmp_path / "app-1.0.tar.gz", ("a", b""), ("b", b""))
    with pytest.raises(ArchiveError, match="one folder at its top"):
        lay(sdist(path), path)


def test_what_is_not_there_or_unknown(tmp_path, lay):
    with pytest.raises(UsageError, match="no such directory"):
        lay(directory(tmp_path / "nothing"))
    path = tmp_path / "app-1.0.rpm"
    path.write_bytes(b"")
    with pytest.raises(UsageError, match=r"it is a .tar.gz or a .zip"):
        lay(sdist(path), path)


@pytest.mark.parametrize(
    "repository", ["https://user:secret@example.org/x.git", "git@example.org:x.git"]
)
def test_offline_no_repository_of_another_machine_is_asked(lay, repository):
    pick = Pick("app", "1", "vcs", vcs="git", repository=repository, commit="0" * 40)
    with pytest.raises(OfflineError) as caught:
        lay(pick, offline=True)
    assert "secret" not in str(caught.value)


def test_git_gets_the_credentials_of_an_index_by_its_environment(tmp_path, lay, environ):
    accounts = Accounts()
    url = accounts.add("http://user:secret@127.0.0.1:9/x.git")
    seen = tmp_path / "seen"
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\necho "$@" >>{seen}\nenv >>{seen}\nexit 1\n')
    git.chmod(0o755)
    environ["PATH"] = f"{git.parent}:{environ['PATH']}"
    pick = Pick("app", "1", "vcs", vcs="git", repository=url, commit="0" * 40)
    with pytest.raises(Exception, match="can't be had"):
        lay(pick, accounts=accounts)
    text = seen.read_text()
    assert "GIT_CONFIG_KEY_0=http.http://127.0.0.1:9/.extraHeader" in text
    assert "Authorization: Basic dXNlcjpzZWNyZXQ=" in text
    assert "secret" not in text.splitlines()[0]
