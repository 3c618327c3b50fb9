"""The house's own rules: which room imports which, what runs where, and what may not be in it."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kitbag_bundles
from support.installed import bare_environment
from support.interpreters import Interpreter, find_interpreters
from support.require import require, require_command

HOUSE = Path(__file__).resolve().parents[1]
ROOMS = {
    "kitbag_bundles": HOUSE / "bundles" / "kitbag_bundles",
    "kitbag_installer": HOUSE / "installer" / "kitbag_installer",
    "kitbag_packer": HOUSE / "packer" / "kitbag_packer",
}
# Which of the other rooms each may look into; nothing points back.
ARROWS = {
    "kitbag_bundles": set[str](),
    "kitbag_installer": {"kitbag_bundles"},
    "kitbag_packer": {"kitbag_bundles", "kitbag_installer"},
}
# What the bundle carries, and where it is imported.
CARRIED = {"tomli": {"toml.py"}}
# What makes things quicker or possible where it happens to be there, in one place each.
ACCELERATORS = {
    "isal": {"archives/compression.py"},
    "zstandard": {"archives/compression.py"},
    "backports": {"archives/compression.py"},
    "py7zr": {"archives/sevenzip.py"},
}
# Given to importlib, such as the command line's verbs.
_IMPORTED_BY_NAME = re.compile(r"(kitbag_\w+|isal|zstandard|backports|py7zr)(\.\w+)*")
TARGET_SIDE = ("kitbag_bundles", "kitbag_installer")
TARGETS = find_interpreters((3, 9))
# Never needed to print a version, and each costs milliseconds.
HEAVY = {
    *("argparse", "json", "importlib.metadata", "inspect", "logging", "subprocess", "tempfile"),
    *("typing", "dataclasses", "zipfile", "hashlib", "tomllib", "shutil", "concurrent.futures"),
    *("multiprocessing", "httpx", "rich", "zstandard", "py7zr", "elftools", "urllib.request"),
}


def modules(room: str) -> list[Path]:
    return sorted(ROOMS[room].rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Return the full name of everything that a module imports, also late, also by its name."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(str(node.module))
        elif isinstance(node, ast.Constant) and _IMPORTED_BY_NAME.fullmatch(str(node.value)):
            found.add(str(node.value))
    return found


class TestArrows:
    @pytest.mark.parametrize("room", ROOMS)
    def test_between_rooms(self, room: str) -> None:
        assert len(modules(room)) > 5
        for path in modules(room):
            tops = {name.partition(".")[0] for name in imports(path)}
            foreign = {top for top in tops if top.startswith("kitbag_")} - {room}
            assert foreign <= ARROWS[room], f"{path.relative_to(HOUSE)} looks into {foreign}"

    @pytest.mark.parametrize("room", TARGET_SIDE)
    def test_target_side_has_the_standard_library_alone(self, room: str) -> None:
        for path in modules(room):
            tops = {name.partition(".")[0] for name in imports(path)}
            # The standard library has it from 3.12 on.
            others = tops - {*sys.stdlib_module_names, "_sha2"} - set(TARGET_SIDE)
            inside = path.relative_to(ROOMS[room]).as_posix()
            for top in others:
                places = {**CARRIED, **ACCELERATORS}.get(top, set())
                assert room == "kitbag_bundles", f"{room}/{inside} imports {top}"
                assert inside in places, f"{room}/{inside} imports {top}"

    def test_accelerators_are_looked_for(self) -> None:
        """The list above names what is there, so that it cannot rot."""
        for top, places in {**CARRIED, **ACCELERATORS}.items():
            for place in places:
                path = ROOMS["kitbag_bundles"] / place
                assert any(name.partition(".")[0] == top for name in imports(path)), top

    def test_packer_imports_what_the_project_depends_on(self) -> None:
        project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
        extras = [each for many in project["optional-dependencies"].values() for each in many]
        named = {re.split(r"[<>=! \[]", each)[0] for each in [*project["dependencies"], *extras]}
        by_import = importlib.metadata.packages_distributions()
        known = set(sys.stdlib_module_names) | set(ROOMS)
        for path in modules("kitbag_packer"):
            for top in {name.partition(".")[0] for name in imports(path)} - known:
                owners = {name.lower().replace("_", "-") for name in by_import.get(top, [top])}
                assert owners & named, f"{path.relative_to(HOUSE)} imports {top}"


_LOAD = """
import importlib, sys, types
sys.path[:0] = {places!r}
for name in {names!r}:
    if name.endswith("__main__"):
        continue
    importlib.import_module(name)
for name, module in sys.modules.items():
    assert "site-packages" not in (getattr(module, "__file__", "") or ""), name
print(len({names!r}))
"""


def names_of(room: str) -> list[str]:
    return [
        ".".join([room, *path.relative_to(ROOMS[room]).with_suffix("").parts])
        .removesuffix(".__init__")
        for path in modules(room)
    ]  # fmt: skip


class TestTargetSide:
    @pytest.mark.parametrize(
        "one", TARGETS, ids=lambda one: f"{one.full_version}-{one.path.parts[1]}"
    )
    def test_every_module_loads(self, one: Interpreter) -> None:
        """On each Python from 3.9 on, with all other packages out of reach."""
        names = [name for room in TARGET_SIDE for name in names_of(room)]
        places = [str(ROOMS[room].parent) for room in TARGET_SIDE]
        done = subprocess.run(
            [one.path, "-I", "-S", "-B", "-W", "error", "-c",
             _LOAD.format(places=places, names=names)],
            env=bare_environment(), cwd="/", capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == len(names) > 40

    def test_a_python_that_is_3_9_is_among_them(self) -> None:
        require(any(one.version[:2] == (3, 9) for one in TARGETS), "needs a CPython 3.9")

    @pytest.mark.parametrize("room", ["kitbag_installer.cli", "kitbag_packer.cli"])
    def test_version_is_quick(self, room: str) -> None:
        """`kitbag --version` imports next to nothing; the bound is on modules, not on the clock."""
        places = [str(path.parent) for path in ROOMS.values()]
        code = (
            f"import sys; before = set(sys.modules); sys.path[:0] = {places!r}\n"
            f"from {room} import main\n"
            "status = main(['--version'])\n"
            "print(sorted(set(sys.modules) - before))\n"
            "sys.exit(status)"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", code],
            env=bare_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        version, listed = done.stdout.splitlines()
        assert version == f"kitbag {kitbag_bundles.__version__}"
        loaded = set(ast.literal_eval(listed))
        assert not loaded & HEAVY
        ours = {name for name in loaded if name.startswith("kitbag_")}
        assert len(loaded - ours) <= 15, loaded - ours
        assert len(ours) <= 5, ours


@functools.cache
def tracked() -> list[Path]:
    require_command("git")
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE, capture_output=True, text=True,
    )  # fmt: skip
    require(done.returncode == 0, "needs a git checkout")
    return [HOUSE / name for name in done.stdout.split("\0") if name and (HOUSE / name).is_file()]


def lines_with(pattern: str) -> list[str]:
    found = []
    for path in tracked():
        if path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{path.relative_to(HOUSE)}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), 1)
            if re.search(pattern, line)
        ]
    return found


REGISTRY = (
    r"(?i)\b(test\.)?pypi\.org|pythonhosted|registry\.npmjs|"
    # The option with an address of somebody; tests have hosts of one word, and loopback ones.
    r"index[-_]url\W{1,5}https?://([^/\s@]*@)?"
    r"(?!127\.|([\w-]+\.)*(example|test|invalid)\b)[\w-]+\.\w"
)


class TestRepository:
    def test_no_registry(self) -> None:
        """Where packages come from is the business of each machine's own settings."""
        assert not lines_with(REGISTRY)

    @pytest.mark.parametrize(
        ("line", "is_one"),
        [
            ("PIP_INDEX_URL=https://packages.corp.internal/simple", True),
            ('index-url = "https://me:pass@packages.corp.internal/simple"', True),
            ("--extra-index-url http://10.0.0.1/simple", True),
            ("--index-url https://mirror.example/simple", False),
            ("--index-url http://127.0.0.1:8080/simple", False),
            ("--index-url https://corp/simple", False),
            ('values.get("index-url", "")', False),
        ],
    )
    def test_what_names_a_registry(self, line: str, is_one: bool) -> None:
        assert bool(re.search(REGISTRY, line)) == is_one

    def test_no_test_is_skipped_where_none_may_be(self) -> None:
        """``support.require`` turns into a failure there; pytest's own way stays silent."""
        assert not lines_with(r"pytest\.import[o]rskip")

    def test_no_path_of_this_checkout(self) -> None:
        places = {str(HOUSE)} - {"/"}
        if str(Path.home().resolve()) not in ("/", "/root"):
            places.add(str(Path.home()))
        assert not lines_with(rf"({'|'.join(map(re.escape, places))})(?![\w.-])")

    def test_every_variable_that_is_read_is_in_the_reference(self) -> None:
        page = (HOUSE / "docs/reference/command-line.md").read_text(encoding="utf-8")
        table = page.partition("\n## Environment\n")[2].partition("\n## ")[0]
        read = re.compile(r"environ(?:\.get\(|\[)\s*[\"']([A-Z_]+)[\"']|[\"'](KITBAG_[A-Z_]+)[\"']")
        # A program that an installed interpreter runs reads what that interpreter would.
        paths = [path for room in ROOMS for path in modules(room) if path.name != "probes.py"]
        found = {
            first or second
            for path in paths
            for first, second in read.findall(path.read_text(encoding="utf-8"))
        }
        assert {"KITBAG_ROOT", "SHELL", "NO_COLOR"} < found
        assert not {name for name in found if f"`{name}`" not in table}

    def test_texts_are_clean(self) -> None:
        for path in tracked():
            data = path.read_bytes()
            if path.suffix in (".py", ".md", ".toml", ".yml", "") and b"\0" not in data:
                name = path.relative_to(HOUSE)
                assert b"\r" not in data, name
                assert not data or data.endswith(b"\n"), name
                assert not re.search(rb"[ \t]+$", data, re.MULTILINE) or path.suffix == ".md", name

    def test_no_made_thing(self) -> None:
        """Archives, bundles and binaries are made at test time, never kept."""
        for path in tracked():
            assert path.stat().st_size < 200_000, path
            assert not re.search(r"\.(gz|zst|xz|bz2|zip|7z|whl|so|pyc|kitbag|pyz)$", path.name), (
                path
            )

    def test_project(self) -> None:
        table = tomllib.loads((HOUSE / "pyproject.toml").read_text())
        project = table["project"]
        assert project["name"] == "kitbag"
        assert project["requires-python"] == ">=3.11"
        assert project["license"] == "MIT"
        assert project["scripts"] == {"kitbag": "kitbag_packer.cli:main"}
        assert re.fullmatch(r"\d+\.\d+\.\d+", kitbag_bundles.__version__)
        packages = table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert {HOUSE / each for each in packages} == set(ROOMS.values())
        versioned = HOUSE / table["tool"]["hatch"]["version"]["path"]
        assert f'__version__ = "{kitbag_bundles.__version__}"' in versioned.read_text()
        changes = (HOUSE / "CHANGELOG.md").read_text()
        assert kitbag_bundles.__version__ in changes or "Unreleased" in changes
        assert "MIT License" in (HOUSE / "LICENSE").read_text()
        for room in ROOMS.values():
            assert (room / "py.typed").is_file()
            assert not (room.parent / "__init__.py").exists()

    def test_installed_distribution_is_this_one(self) -> None:
        """Where kitbag is installed, as `make` does it, metadata and code agree."""
        try:
            found = importlib.metadata.distribution("kitbag")
        except importlib.metadata.PackageNotFoundError:
            return
        assert found.version == kitbag_bundles.__version__
        scripts = {each.name: each.value for each in found.entry_points}
        assert scripts["kitbag"] == "kitbag_packer.cli:main"

    def test_tests_mirror_the_code(self) -> None:
        """A test module is named after the module that it tests, in the folder of its room."""
        for room in ("bundles", "installer", "packer"):
            folder = HOUSE / "tests" / room
            for path in folder.rglob("test_*.py"):
                inside = path.relative_to(folder)
                code = ROOMS[f"kitbag_{room}"] / inside.parent
                stem = path.stem.removeprefix("test_")
                names = [each.stem for each in code.glob("*")] if code.is_dir() else []
                about = any(name == stem or name.startswith(stem) or stem.startswith(name)
                            for name in names)  # fmt: skip
                assert about or code.is_dir(), path.relative_to(HOUSE)


def test_json_of_every_verb_is_one_document(tmp_path: Path) -> None:
    """Whatever becomes of a verb with `--json`: its stdout is JSON, also for an error."""
    from support.cli import call

    for arguments in (
        ("show", tmp_path / "missing.kitbag"),
        ("verify", tmp_path / "missing.kitbag"),
        ("install", tmp_path / "missing.kitbag", "--root", tmp_path / "root"),
        ("installed", "--root", tmp_path / "root"),
        ("uninstall", "3.13", "--root", tmp_path / "root"),
        ("rollback", "3.13", "--root", tmp_path / "root"),
        ("rollback", "--root", tmp_path / "root"),
        ("relocate", "3.13", "--root", tmp_path / "root"),
        ("pack", "--from", tmp_path / "missing", "-o", tmp_path / "out.kitbag"),
        ("pack", "3.99", "--catalog", "embedded", "-o", tmp_path / "out.kitbag"),
        ("pack",),
        ("lock", "-f", tmp_path / "missing.toml"),
        ("list", "3.99"),
        ("list", "3.13", "--catalog", "embedded", "--target", "linux-x86_64-gnu"),
        ("catalog", "show"),
        ("catalog", "update", "--offline"),
        ("cache", "dir"),
        ("cache", "list"),
        ("cache", "prune"),
        ("cache", "clean"),
    ):
        done = call(*arguments, "--json")
        table = json.loads(done.out)
        assert ("error" in table) == (done.status != 0), arguments
