"""The doctor on real interpreters: the healthy are healthy, and every fault is a real one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.cli import TARGET_SIDE, Ran, environment
from support.cli import run as run_kitbag
from support.installed import Tree, run
from support.interpreters import Interpreter, packable_interpreters
from support.journey import kitbag, only_build, shared_bundle
from support.pbs import make_pbs_archive
from support.pypy import make_pypy_archive
from support.require import require, require_command
from support.snapshots import snapshot

pytestmark = pytest.mark.slow
TARGETS = packable_interpreters((3, 9))


class Ward(NamedTuple):
    """A root with one build, and the bin directory beside it."""

    root: Path
    bin_dir: Path
    bundle: Path

    @property
    def tree(self) -> Tree:
        return only_build(self.root)

    def doctor(self, *arguments: str, **changes: str | None) -> Ran:
        """Examine it with the bin directory on PATH."""
        path = changes.pop("PATH", f"{self.bin_dir}:{os.environ['PATH']}")
        env = environment(PATH=path, **changes)
        return run_kitbag("doctor", "--root", self.root, *arguments, command=TARGET_SIDE, env=env)

    def findings(self, **changes: str | None) -> dict[str, list[dict[str, str]]]:
        """What is not right, by check."""
        done = self.doctor("--json", "-q", **changes)
        table: dict[str, Any] = json.loads(done.out)
        found: dict[str, list[dict[str, str]]] = {}
        for each in [*table["findings"], *table["builds"][0]["findings"]]:
            if each["severity"] != "ok":
                found.setdefault(each["check"], []).append(each)
        faults = sum(each["severity"] == "fault" for many in found.values() for each in many)
        assert (done.status, table["faults"]) == (int(faults > 0), faults)
        return found

    def fault(self, check: str, **changes: str | None) -> str:
        """The one fault that there is; returns its message."""
        found = self.findings(**changes)
        (only,) = found[check]
        assert only["severity"] == "fault", found
        assert all(each["severity"] != "fault" for many in found.values() for each in many
                   if each["check"] not in (check, "pip")), found  # fmt: skip
        return only["message"]


def make_ward(folder: Path, bundle: Path) -> Ward:
    ward = Ward(folder / "root", folder / "bin", bundle)
    kitbag("install", bundle, "--root", ward.root, "--bin-dir", ward.bin_dir)
    return ward


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, pbs_archive: Path) -> Path:
    """A bundle of the full-size archive. Read only."""
    return shared_bundle(tmp_path_factory, "full.kitbag", pbs_archive)


@pytest.fixture
def ward(bundle: Path, tmp_path: Path) -> Ward:
    return make_ward(tmp_path, bundle)


@pytest.mark.parametrize("one", TARGETS, ids=lambda one: one.full_version)
def test_healthy_builds(one: Interpreter, tmp_path: Path) -> None:
    """Nothing is wrong, everything was tried, and nothing is left behind."""
    bundle = tmp_path / "kit.kitbag"
    kitbag("pack", "--from", make_pbs_archive(one), "-o", bundle)
    ward = make_ward(tmp_path, bundle)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = snapshot(ward.root, ward.bin_dir, Path(os.environ["HOME"]))
    done = ward.doctor("--all-checks", TMPDIR=str(temporary), LC_ALL="C.UTF-8", TERM="xterm")
    assert done.status == 0, done.out
    assert "  fault   " not in done.out
    for line in (
        f"interpreter: CPython {one.full_version}",
        "ssl: OpenSSL",
        "sqlite3: SQLite",
        "ctypes: works",
        "lzma: works",
        "environments: made by ",
        "in an environment",
    ):
        assert f"  ok      {line}" in done.out or line == "in an environment", line
    assert " in an environment\n" in done.out
    if shutil.which("cc"):
        assert "  ok      extension: built with cc\n" in done.out
    assert done.out.splitlines()[-1].startswith("1 build: no faults")
    assert snapshot(ward.root, ward.bin_dir, Path(os.environ["HOME"])) == before
    assert not list(temporary.iterdir())


def test_by_the_names_of_the_build(ward: Ward) -> None:
    """Environments are made by the interpreter, through the link, and by the bin name."""
    minor = ward.tree.minor
    text = ward.doctor("--all-checks").out
    (line,) = (each for each in text.splitlines() if " environments: " in each)
    names = line.partition("made by ")[2].split(", ")
    assert names[0] == str(ward.tree.python)
    assert names[-1] == str(ward.bin_dir / f"python{minor}")
    assert len(names) == 3


class TestFaults:
    def test_no_certificates(self, ward: Ward) -> None:
        nowhere = {"SSL_CERT_FILE": "/nowhere/cert.pem", "SSL_CERT_DIR": "/nowhere/certs"}
        assert "/nowhere/cert.pem nor /nowhere/certs" in ward.fault("ca-certificates", **nowhere)

    def test_a_module_that_was_deleted(self, ward: Ward) -> None:
        (module,) = (ward.tree.library / "lib-dynload").glob("_lzma.*.so")
        module.unlink()
        assert ward.fault("lzma") == "No module named '_lzma'"
        (finding,) = ward.findings()["lzma"]
        words = shlex.split(finding["cure"].replace("BUNDLE", str(ward.bundle)))
        run_kitbag(*words[1:], command=TARGET_SIDE)
        assert "lzma" not in ward.findings()

    def test_a_library_that_the_machine_does_not_have(self, ward: Ward) -> None:
        (module,) = (ward.tree.library / "lib-dynload").glob("_bz2.*.so")
        data = module.read_bytes()
        require(b"libbz2.so.1" in data, "a Python that takes bzip2 from the system")
        module.write_bytes(data.replace(b"libbz2.so.1", b"libbzz.so.9"))
        assert "needs libbzz.so.9" in ward.fault("bz2")
        receipt = ward.tree.home / ".kitbag" / "receipt.json"
        table = json.loads(receipt.read_text())
        receipt.write_text(json.dumps({**table, "flavor": "rerooted"}))
        (finding,) = ward.findings()["bz2"]
        assert finding["severity"] == "advice"

    def test_a_module_that_crashes(self, ward: Ward) -> None:
        module = ward.tree.library / "sqlite3" / "__init__.py"
        module.write_text("import os; os.kill(os.getpid(), 11)\n")
        assert ward.fault("sqlite3").startswith("the interpreter ended with signal 11")

    def test_one_that_hangs(self, ward: Ward) -> None:
        (ward.tree.library / "uuid.py").write_text("import time; time.sleep(3600)\n")
        done = ward.doctor("--time-limit", "8", "-q")
        assert "fault   uuid: no answer within 8 seconds\n" in done.out

    def test_a_link_that_was_broken(self, ward: Ward) -> None:
        link = next(path for path in ward.root.iterdir() if path.is_symlink())
        link.unlink()
        link.symlink_to(ward.root / "gone")
        assert "leads to" in ward.fault("minor-link")
        (finding,) = ward.findings()["minor-link"]
        run_kitbag(*shlex.split(finding["cure"])[1:], command=TARGET_SIDE)
        assert "minor-link" not in ward.findings()

    def test_a_source_that_was_edited_under_an_unchecked_file(self, ward: Ward) -> None:
        name = "textwrap.py"
        source = ward.tree.library / name
        code = (
            "import py_compile, sys; py_compile.compile(sys.argv[1], doraise=True, "
            "invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
        )
        run(ward.tree.python, "-I", "-B", "-c", code, source)
        assert "bytecode" not in ward.findings()
        source.write_text(source.read_text() + "\nedited = True\n")
        assert ward.fault("bytecode").startswith(f"lib/{ward.tree.library.name}/{name}: edited")
        (finding,) = ward.findings()["bytecode"]
        command = finding["cure"].partition(" to keep")[0]
        run_kitbag(*shlex.split(command)[1:], command=TARGET_SIDE)
        assert "bytecode" not in ward.findings()
        assert "edited = True" in source.read_text()

    def test_a_place_that_it_left(self, ward: Ward) -> None:
        (path,) = ward.tree.library.glob("_sysconfigdata_*.py")
        path.write_text(path.read_text().replace(str(ward.tree.home), "/old/place"))
        assert "which is not in this build" in ward.fault("sysconfig")

    def test_a_compiler_that_fails(self, ward: Ward, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "cc").write_text("#!/bin/sh\necho 'x.c:1: fatal error: no stdio.h' >&2\nexit 1\n")
        (tools / "cc").chmod(0o755)
        path = f"{ward.bin_dir}:{tools}:{os.environ['PATH']}"
        assert ward.fault("extension", PATH=path) == "cc fails: x.c:1: fatal error: no stdio.h"

    def test_no_compiler_is_no_fault(self, ward: Ward, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("sh", "dirname"):
            (tools / name).symlink_to(require_command(name))
        done = ward.doctor("--all-checks", PATH=f"{ward.bin_dir}:{tools}")
        assert done.status == 0, done.out
        assert "  ok      extension: not tried: there is no compiler" in done.out

    def test_environments_without_pip(self, ward: Ward) -> None:
        for wheel in (ward.tree.library / "ensurepip" / "_bundled").glob("pip-*.whl"):
            wheel.write_bytes(b"not a wheel")
        assert "ensurepip" in ward.fault("pip")

    def test_environments_that_can_not_be_made(self, ward: Ward) -> None:
        (ward.tree.library / "venv" / "__init__.py").write_text("raise SystemExit('no venv')\n")
        found = ward.findings()["environments"]
        assert len(found) == 3
        assert all(each["message"].endswith("no venv") for each in found)


def test_another_tools_build(ward: Ward) -> None:
    """Without a receipt as much is checked as can be."""
    shutil.rmtree(ward.tree.home / ".kitbag")
    (module,) = (ward.tree.library / "lib-dynload").glob("_lzma.*.so")
    module.unlink()
    found = ward.findings()
    assert found["lzma"][0]["severity"] == "advice"
    assert "this build has no _lzma" in found["lzma"][0]["message"]


def test_a_real_pypy(tmp_path: Path) -> None:
    bundle = tmp_path / "kit.kitbag"
    kitbag("pack", "--from", make_pypy_archive(".tar.gz"), "-o", bundle)
    ward = make_ward(tmp_path, bundle)
    done = ward.doctor("--all-checks")
    assert done.status == 0, done.out
    for line in ("interpreter: PyPy", "ssl: OpenSSL", "sqlite3: SQLite", "environments: made by"):
        assert f"  ok      {line}" in done.out
