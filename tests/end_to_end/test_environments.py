"""An environment out of a bundle, with a real interpreter: it runs, and it is what uv makes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kitbag_installer.environments.receipts import read_contents, read_receipt
from support.cli import assert_done, call
from support.environments import with_environments
from support.installed import bare_environment
from support.journey import ODD, by_bundle, shared_bundle
from support.uvtool import uv_program
from support.wheels import make_wheel, pylock_of

_HOW = """\
import sys
from space import one, two
print(sys.argv[1:], one.ONE, two.TWO)
def main():
    return 0
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return [
        make_wheel(
            folder,
            "My.App",
            "1.0",
            files={"my_app/__init__.py": _HOW, "my_app/run.sh": "#!/bin/sh\n", "my_app/e": ""},
            scripts={"my-app": "my_app:main", "other": "my_app:main"},
            gui_scripts={"window": "my_app:main"},
            data={
                "scripts/tool": "#!python\nimport sys\nprint(sys.prefix)\n",
                "scripts/shell": "#!/bin/sh\necho shell\n",
                "headers/my_app.h": "/* */\n",
                "data/share/my/x.txt": "x",
                "purelib/pure.py": "P = 1\n",
                "platlib/plat.py": "P = 2\n",
            },
            modes={"my_app/run.sh": 0o755},
        ),
        make_wheel(folder, "space-one", files={"space/one.py": "ONE = 1\n"}),
        make_wheel(folder, "space-two", files={"space/two.py": "TWO = 2\n", "東/ü.py": ""}),
        make_wheel(folder, "with-pth", files={"with.pth": "import sys; sys.pth_ran = True\n"}),
        make_wheel(folder, "many", files={f"many/m{n}.py": f"N = {n}\n" for n in range(300)}),
        make_wheel(folder, "built", tags=f"{tag}-{tag}-linux_x86_64"),
    ]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, slim_archive, wheels):
    base = shared_bundle(tmp_path_factory, "slim.kitbag", slim_archive)
    path = tmp_path_factory.mktemp("bundle") / "app.kitbag"
    return with_environments(path, base, {"app": wheels}, expose={"app": ["my-app", "tool"]})


def run(*command: str | Path) -> str:
    done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(params=["plain", ODD])
def installed(tmp_path, bundle, request):
    root = tmp_path / request.param / "root"
    assert_done(call("install", bundle, "--root", root, "--bin-dir", tmp_path / "bin"))
    return root / "envs" / "app"


def test_its_programs_run(installed, tmp_path):
    assert run(tmp_path / "bin" / "my-app", "a b").splitlines() == ["['a b'] 1 2"]
    assert run(tmp_path / "bin" / "tool") == f"{installed}\n"
    assert run(installed / "bin" / "shell") == "shell\n"
    said = run(installed / "bin" / "python", "-c", "import sys, plat; print(sys.pth_ran, plat.P)")
    assert said == "True 2\n"


def test_metadata_and_files_agree_for_those_who_ask(installed):
    program = (
        "from importlib.metadata import distributions, files\n"
        "print(sorted(one.name for one in distributions()))\n"
        "paths = [path for one in distributions() for path in files(one.name)]\n"
        "print(all(path.locate().exists() for path in paths))\n"
    )
    names, whole = run(installed / "bin" / "python", "-I", "-c", program).splitlines()
    assert names == "['My.App', 'built', 'many', 'space-one', 'space-two', 'with-pth']"
    assert whole == "True"


def test_bytecode_on_request(tmp_path, bundle):
    root = tmp_path / "root"
    words = ("install", bundle, "app", "--root", root, "--no-bin", "--compile-bytecode")
    done = call(*words)
    assert_done(done)
    home = root / "envs" / "app"
    site = next(home.glob("lib/python3*/site-packages"))
    assert len(list((site / "many" / "__pycache__").iterdir())) == 300
    assert re.search(r"^ \+ app \(6 packages, compiled 3\d\d files\)$", done.out, re.MULTILINE)
    receipt = read_receipt(str(home))
    assert receipt.bytecode_sha256
    listed = {entry.path for entry in read_contents(str(home), receipt)}
    assert not any("__pycache__" in path for path in listed)


def test_bytecode_of_what_is_there_already(tmp_path, bundle):
    words = ("install", bundle, "app", "--root", tmp_path / "root", "--no-bin")
    assert_done(call(*words))
    home = tmp_path / "root" / "envs" / "app"
    assert not read_receipt(str(home)).bytecode_sha256
    words += ("--compile-bytecode",)
    first, second = call(*words), call(*words, "--json")
    assert_done(first)
    assert re.search(r"^app is already .*; compiled 3\d\d files$", first.out, re.MULTILINE)
    assert read_receipt(str(home)).bytecode_sha256
    (table,) = json.loads(second.out)["environments"]
    assert (table["action"], table["bytecode"]["compiled"]) == ("present", 0)
    assert table["bytecode"]["fresh"] > 300
    receipt = home / ".kitbag" / "bytecode.tsv"
    shutil.rmtree(home / "bin")
    failed = call(*words)
    assert failed.status == 1
    assert "envs/app/bin/python" in failed.err
    assert receipt.exists()


def test_a_bundle_installs_its_environment_by_itself(tmp_path, bundle, packable_interpreter):
    root = tmp_path / "root"
    done = by_bundle(
        packable_interpreter.path, bundle, "install", "--root", root, "--bin-dir", tmp_path / "bin"
    )
    assert done.status == 0, done
    assert run(tmp_path / "bin" / "my-app").splitlines() == ["[] 1 2"]


def test_a_patch_upgrade_is_followed(installed):
    """The interpreter is found through the minor-version link."""
    link = os.readlink(next(installed.glob("bin/python3.*")))
    assert re.search(r"/cpython-3\.\d+-linux-[^/]*/bin/python3\.\d+$", link)


def tree_of(home: Path) -> dict[str, str]:
    """Every file that the wheels brought: mode and digest, where no path may stand in it."""
    found = {}
    for folder, folders, names in os.walk(home):
        folders[:] = [name for name in folders if name not in ("__pycache__", ".kitbag")]
        for name in names:
            path = Path(folder, name)
            inside = path.relative_to(home).as_posix()
            if path.is_symlink() or name in ("uv_cache.json", ".lock"):
                continue
            data = path.read_bytes()
            if inside.startswith("bin/"):
                data = b"" if b"sys.exit(" in data else data.replace(bytes(home), b"HOME")
            elif name == "INSTALLER":
                data = b""
            elif name == "RECORD":
                rows = data.decode().splitlines()
                data = "\n".join(
                    row for row in rows if not re.search(r"^\.\./|INSTALLER|uv_cache", row)
                ).encode()
            mode = path.stat().st_mode & 0o111
            found[inside] = f"{mode:o} {hashlib.sha256(data).hexdigest()}"
    return found


def scripts_of_venv(tree: dict[str, str], extra: set[str]) -> dict[str, str]:
    """``tree`` without what belongs to the empty environment."""
    return {
        path: said
        for path, said in tree.items()
        if path not in extra and not path.startswith(("include/python",))
    }


def test_it_is_what_uv_pip_sync_makes(tmp_path, bundle, wheels):
    uv = uv_program()
    root = tmp_path / "root"
    assert_done(call("install", bundle, "--root", root, "--no-bin"))
    ours = root / "envs" / "app"
    lock = tmp_path / "pylock.toml"
    lock.write_text(pylock_of(wheels))
    theirs = tmp_path / "theirs"
    python = next(root.glob("cpython-3.*.*/bin/python"))
    environ = {**os.environ, "VIRTUAL_ENV": str(theirs), "UV_LINK_MODE": "copy"}
    subprocess.run([uv, "venv", "-q", "-p", python, theirs], check=True, env=environ)
    empty = set(tree_of(theirs))
    sync = [uv, "pip", "sync", "-q", "--offline", "--preview-features", "pylock", lock]
    subprocess.run(sync, check=True, env=environ)
    listed = read_receipt(str(ours)).placed
    empty |= {path for path in listed if path == "pyvenv.cfg" or "ctivate" in path}
    assert scripts_of_venv(tree_of(ours), empty) == scripts_of_venv(tree_of(theirs), empty)


def test_pip_takes_it_for_its_own(tmp_path, bundle, installed):
    """Who looks after the environment later can remove a package by its RECORD."""
    uv = uv_program()
    python = installed / "bin" / "python"
    environ = {**os.environ, "VIRTUAL_ENV": str(installed)}
    done = subprocess.run([uv, "pip", "list", "--python", python], capture_output=True, env=environ)
    assert b"my-app    1.0" in done.stdout
    gone = [uv, "pip", "uninstall", "-q", "--python", python, "my-app"]
    subprocess.run(gone, check=True, env=environ)
    left = {path.name for path in (installed / "bin").iterdir()}
    assert not left & {"my-app", "other", "window", "tool", "shell"}
    assert not list(installed.rglob("my_app*"))
