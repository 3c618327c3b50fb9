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
from support.pyodide import make_pyodide_archive, real_pyodide
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
    ):
        assert f"  ok      {line}" in done.out
    (line,) = (each for each in done.out.splitlines() if "  environments: " in each)
    names = line.partition("made by ")[2].split(", ")
    assert names[0] == str(ward.tree.python)
    assert names[-1] == str(ward.bin_dir / f"python{ward.tree.minor}")
    assert len(names) == 3
    assert " in an environment\n" in done.out
    if shutil.which("cc"):
        assert "  ok      extension: built with cc\n" in done.out
    assert done.out.splitlines()[-1].startswith("1 build: no faults")
    assert snapshot(ward.root, ward.bin_dir, Path(os.environ["HOME"])) == before
    assert not list(temporary.iterdir())


def test_many_faults_at_once_and_their_cures(ward: Ward, tmp_path: Path) -> None:
    library = ward.tree.library
    nowhere = {"SSL_CERT_FILE": "/nowhere/cert.pem", "SSL_CERT_DIR": "/nowhere/certs"}
    # A module that was deleted, and one that needs what this machine does not have.
    (module,) = (library / "lib-dynload").glob("_lzma.*.so")
    module.unlink()
    (module,) = (library / "lib-dynload").glob("_bz2.*.so")
    data = module.read_bytes()
    require(b"libbz2.so.1" in data, "a Python that takes bzip2 from the system")
    module.write_bytes(data.replace(b"libbz2.so.1", b"libbzz.so.9"))
    (library / "sqlite3" / "__init__.py").write_text("import os; os.kill(os.getpid(), 11)\n")
    # The minor-version link.
    (link,) = (path for path in ward.root.iterdir() if path.is_symlink())
    link.unlink()
    link.symlink_to(ward.root / "gone")
    # A place that the build left, and the prefix.
    (path,) = library.glob("_sysconfigdata_*.py")
    path.write_text(path.read_text().replace(str(ward.tree.home), "/old/place"))
    (path,) = (ward.tree.home / "lib" / "pkgconfig").glob("python-3.??.pc")
    path.write_text("libdir=/install/lib\n")
    # A compiler that fails.
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cc").write_text("#!/bin/sh\necho 'x.c:1: fatal error: no stdio.h' >&2\nexit 1\n")
    (tools / "cc").chmod(0o755)
    path_of_tools = f"{ward.bin_dir}:{tools}:{os.environ['PATH']}"

    found = ward.findings(PATH=path_of_tools, **nowhere)
    faults = {
        check: each["message"]
        for check, many in found.items()
        for each in many
        if each["severity"] == "fault"
    }
    # Debian calls it libbz2.so.1.0, others libbz2.so.1.
    assert faults.pop("bz2").startswith("needs libbzz.so.9")
    assert faults == {
        "minor-link": f"{link} leads to {ward.root}/gone and not to {ward.tree.home.name}",
        "stale-paths": f"lib/pkgconfig/{path.name}:1: names /install, where it was built",
        "sysconfig": "BINDIR is /old/place/bin, which is not in this build: "
        "extensions will not build",
        "extension": "cc fails: x.c:1: fatal error: no stdio.h",
        "ca-certificates": "no certificate to trust in /nowhere/cert.pem or /nowhere/certs: "
        "every TLS connection fails",
        "sqlite3": "the interpreter ended with signal 11",
        "lzma": "No module named '_lzma'",
    }
    assert found["bz2"][0]["cure"].startswith("install the system's package that has libbzz.so.9")
    for check in ("minor-link", "lzma"):
        words = shlex.split(found[check][0]["cure"].replace("BUNDLE", str(ward.bundle)))
        run_kitbag(*words[1:], command=TARGET_SIDE)
    assert not {each["severity"] for many in ward.findings().values() for each in many} & {"fault"}


def test_of_a_build_that_was_made_elsewhere_libraries_are_optional(ward: Ward) -> None:
    (module,) = (ward.tree.library / "lib-dynload").glob("_bz2.*.so")
    module.write_bytes(module.read_bytes().replace(b"libbz2.so.1", b"libbzz.so.9"))
    receipt = ward.tree.home / ".kitbag" / "receipt.json"
    table = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({**table, "flavor": "rerooted"}))
    (finding,) = ward.findings()["bz2"]
    assert finding["severity"] == "advice"


def test_a_source_that_was_edited_under_an_unchecked_file(ward: Ward) -> None:
    """What is imported is not what is written; the cure is one. pip gets no wheel meanwhile."""
    source = ward.tree.library / "textwrap.py"
    code = (
        "import py_compile, sys; py_compile.compile(sys.argv[1], doraise=True, "
        "invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    )
    run(ward.tree.python, "-I", "-B", "-c", code, source)
    source.write_text(source.read_text() + "\nedited = True\n")
    for wheel in (ward.tree.library / "ensurepip" / "_bundled").glob("pip-*.whl"):
        wheel.write_bytes(b"not a wheel")
    found = ward.findings()
    assert "ensurepip" in found["pip"][0]["message"]
    (finding,) = found["bytecode"]
    assert finding["message"].startswith(f"lib/{ward.tree.library.name}/textwrap.py: edited")
    command = finding["cure"].partition(" to keep")[0]
    run_kitbag(*shlex.split(command)[1:], command=TARGET_SIDE)
    assert "bytecode" not in ward.findings()
    assert "edited = True" in source.read_text()


def test_no_compiler_and_no_environments(ward: Ward, tmp_path: Path) -> None:
    """The one is no fault. The other is told for each name of the build."""
    (ward.tree.library / "venv" / "__init__.py").write_text("raise SystemExit('no venv')\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname"):
        (tools / name).symlink_to(require_command(name))
    found = ward.findings(PATH=f"{ward.bin_dir}:{tools}")
    assert "extension" not in found
    assert len(found["environments"]) == 3
    assert all(each["message"].endswith("no venv") for each in found["environments"])


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


def test_a_real_pyodide(tmp_path: Path) -> None:
    """It is asked what makes sense, and without Node.js that is the fault."""
    bundle = tmp_path / "kit.kitbag"
    kitbag("pack", "--from", make_pyodide_archive(real_pyodide()), "-o", bundle)
    ward = make_ward(tmp_path, bundle)
    done = ward.doctor("--all-checks")
    assert done.status == 0, done.out
    for line in ("interpreter: Pyodide", "zlib: works", "hashlib: works", "uuid: works"):
        assert f"  ok      {line}" in done.out
    (finding,) = ward.findings(PATH=str(tmp_path))["interpreter"]
    assert "there is no node on PATH" in finding["message"]
    assert finding["cure"].startswith("install Node.js")
