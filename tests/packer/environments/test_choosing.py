from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Pylock
from packaging.utils import parse_wheel_filename

from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_bundles.keys import Target
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.choosing import Chosen, choose
from kitbag_packer.environments.indexes import index_settings
from kitbag_packer.environments.model import DIRECTORY, LOCK, SDIST, VCS, WHEEL, For, Pick, Spec
from kitbag_packer.environments.platforms import Platform
from support.require import require
from support.uvtool import uv_program

SIX = {
    "linux-x86_64-gnu": "x86_64-unknown-linux-gnu",
    "linux-aarch64-gnu": "aarch64-unknown-linux-gnu",
    "linux-x86_64-musl": "x86_64-unknown-linux-musl",
    "macos-aarch64-none": "aarch64-apple-darwin",
    "macos-x86_64-none": "x86_64-apple-darwin",
    "windows-x86_64-none": "x86_64-pc-windows-msvc",
}
HERE = Path("/place/pylock.toml")


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _file(filename: str, **changes: Any) -> dict[str, Any]:
    file = {
        "url": f"https://files.example/{filename}",
        "size": 10,
        "hashes": {"sha256": _hash(filename)},
    }
    return {**file, **changes}


def _package(name: str, *files: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    package: dict[str, Any] = {"name": name, "version": version, **more}
    wheels = [_file(each) for each in files if each.endswith(".whl")]
    if wheels:
        package["wheels"] = wheels
    for each in files:
        if not each.endswith(".whl"):
            package["sdist"] = _file(each)
    return package


def _lock(*packages: dict[str, Any], **more: Any) -> Pylock:
    table = {"lock-version": "1.0", "created-by": "tests", "packages": list(packages), **more}
    return Pylock.from_dict(table)


def _chosen(
    lock: Pylock,
    target: str = "linux-x86_64-gnu",
    version: str = "3.13.5",
    path: Path = HERE,
    **spec: Any,
) -> Chosen:
    made_for = For("cpython", version, "", Target.parse(target))
    asked = Spec("app", LOCK, path, **spec)
    return choose(asked, lock, Platform.of(made_for, asked.glibc), path)


def _choose(lock: Pylock, target: str = "linux-x86_64-gnu", **more: Any) -> tuple[Pick, ...]:
    found = _chosen(lock, target, **more)
    for _, error in found.refused:
        raise error
    return found.picks


def _refused(lock: Pylock, target: str = "linux-x86_64-gnu", **more: Any) -> list[str]:
    """Of each package that can't be had its name, the kind of error and the reason."""
    refused = _chosen(lock, target, **more).refused
    assert "\n" not in "".join(str(error) for _, error in refused)
    return [f"{name} {type(error).__name__} {error}" for name, error in refused]


def _names(lock: Pylock, target: str = "linux-x86_64-gnu", **more: Any) -> list[str]:
    return [pick.filename for pick in _choose(lock, target, **more)]


def _error(lock: Pylock, target: str = "linux-x86_64-gnu", **more: Any) -> str:
    with pytest.raises(KitbagError) as caught:
        _choose(lock, target, **more)
    assert "\n" not in str(caught.value)
    return f"{type(caught.value).__name__} {caught.value}"


SPEED = _package(
    "speed",
    "speed-1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "speed-1.0-cp313-cp313-manylinux_2_28_x86_64.whl",
    "speed-1.0-cp313-cp313-macosx_11_0_arm64.whl",
    "speed-1.0-cp313-cp313-win_amd64.whl",
    "speed-1.0-py3-none-any.whl",
)


def test_each_target_gets_its_own_wheel() -> None:
    lock = _lock(SPEED)
    assert _names(lock) == ["speed-1.0-cp313-cp313-manylinux_2_28_x86_64.whl"]
    assert _names(lock, glibc="2.17") == [
        "speed-1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    ]
    assert _names(lock, "macos-aarch64-none") == ["speed-1.0-cp313-cp313-macosx_11_0_arm64.whl"]
    assert _names(lock, "windows-x86_64-none") == ["speed-1.0-cp313-cp313-win_amd64.whl"]
    assert _names(lock, "linux-riscv64gc-gnu") == ["speed-1.0-py3-none-any.whl"]
    assert _names(lock, version="3.12.1") == ["speed-1.0-py3-none-any.whl"]


def test_a_pick_says_all_that_is_needed_to_fetch_it() -> None:
    (pick,) = _choose(_lock(SPEED), "windows-x86_64-none")
    name = "speed-1.0-cp313-cp313-win_amd64.whl"
    assert pick == Pick(
        name="speed",
        version="1.0",
        kind=WHEEL,
        filename=name,
        urls=(f"https://files.example/{name}",),
        sha256=_hash(name),
        size=10,
    )


def test_picks_are_in_the_order_of_their_names() -> None:
    lock = _lock(*(_package(name, f"{name}-1.0-py3-none-any.whl") for name in ("c", "a", "b")))
    assert [pick.name for pick in _choose(lock)] == ["a", "b", "c"]


_BUILDS = [f"a-1.0-{build}py3-none-any.whl" for build in ("1-", "", "10b-", "9-")]


@given(st.permutations(_BUILDS))
def test_of_equal_wheels_the_highest_build_is_taken(files: list[str]) -> None:
    assert _names(_lock(_package("a", *files))) == ["a-1.0-10b-py3-none-any.whl"]


_TAGS = [
    str(tag)
    for tag in Platform.of(For("cpython", "3.13.5", "", Target.parse("linux-x86_64-gnu"))).tags
]


_STRANGE = ["cp39-cp39-win32", "py2-none-any"]


@given(st.lists(st.sampled_from([*_TAGS, *_STRANGE]), min_size=1, unique=True))
def test_no_other_wheel_is_better(tags: list[str]) -> None:
    lock = _lock(_package("a", "a-1.0.tar.gz", *(f"a-1.0-{tag}.whl" for tag in tags)))
    (pick,) = _choose(lock)
    if pick.kind == SDIST:
        assert not set(tags) & set(_TAGS)
        assert pick.reason.startswith("it has wheels for ")
    else:
        (taken,) = map(str, parse_wheel_filename(pick.filename)[3])
        assert _TAGS.index(taken) == min(_TAGS.index(tag) for tag in tags if tag in _TAGS)


def test_markers_choose_among_versions() -> None:
    lock = _lock(
        _package("a", "a-1.0-py3-none-any.whl", marker="python_full_version < '3.12'"),
        _package("a", "a-2.0-py3-none-any.whl", version="2.0", marker="python_version >= '3.12'"),
        _package("colour", "colour-1.0-py3-none-any.whl", marker="sys_platform == 'win32'"),
    )
    assert _names(lock) == ["a-2.0-py3-none-any.whl"]
    assert _names(lock, "windows-x86_64-none", version="3.11.9") == [
        "a-1.0-py3-none-any.whl",
        "colour-1.0-py3-none-any.whl",
    ]


def test_two_versions_at_once_are_told() -> None:
    lock = _lock(
        _package("a", "a-1.0-py3-none-any.whl"),
        _package("a", "a-2.0-py3-none-any.whl", version="2.0", marker="os_name == 'posix'"),
    )
    assert "UsageError a is there twice, as 1.0 and as 2.0" in _error(lock)


def _grouped() -> Pylock:
    return _lock(
        _package("a", "a-1.0-py3-none-any.whl", marker="'main' in dependency_groups"),
        _package("fast", "fast-1.0-py3-none-any.whl", marker="'c-speed' in extras"),
        _package("dev", "dev-1.0-py3-none-any.whl", marker="'dev' in dependency_groups"),
        _package("docs", "docs-1.0-py3-none-any.whl", marker="'docs' in dependency_groups"),
        extras=["c-speed"],
        **{"dependency-groups": ["dev", "docs"], "default-groups": ["main", "dev"]},
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["a", "dev"]),
        ({"groups": ()}, ["a"]),
        ({"groups": ("docs",)}, ["a", "docs"]),
        ({"groups": (), "extras": ("C_Speed",)}, ["a", "fast"]),
    ],
)
def test_extras_and_groups(spec: dict[str, Any], expected: list[str]) -> None:
    assert [pick.name for pick in _choose(_grouped(), **spec)] == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"extras": ("c-sped",)}, "it knows no extra 'c-sped'; did you mean c-speed?"),
        ({"extras": ("gui",)}, "it knows no extra 'gui'; it has c-speed; name one of these"),
        ({"groups": ("test",)}, "it knows no dependency group 'test'; it has dev, docs"),
        ({"groups": ("main",)}, "it knows no dependency group 'main'"),
    ],
)
def test_unknown_extras_and_groups_are_told(spec: dict[str, Any], message: str) -> None:
    assert _error(_grouped(), **spec).startswith(f"UsageError {HERE}: {message}")


def test_a_lock_without_extras_says_so() -> None:
    assert "it knows no extra 'x'; it has none" in _error(_lock(), extras=("x",))


def test_without_a_fitting_wheel_the_source_is_taken_with_the_reason() -> None:
    lock = _lock(_package("a", "a-1.0-cp313-cp313-win_amd64.whl", "a-1.0.tar.gz"))
    (pick,) = _choose(lock)
    assert (pick.kind, pick.filename, pick.sha256) == (SDIST, "a-1.0.tar.gz", _hash("a-1.0.tar.gz"))
    assert pick.reason == "it has wheels for win_amd64, but none for linux-x86_64-gnu"
    (pick,) = _choose(_lock(_package("b", "b-1.0.tar.gz")))
    assert (pick.kind, pick.reason) == (
        SDIST,
        "the lock lists no wheels of it for linux-x86_64-gnu",
    )


@pytest.mark.parametrize(
    ("url", "chosen"),
    [
        ("https://index/x/back.port-1.0-py3-none-any.whl", "back.port-1.0-py3-none-any.whl"),
        ("https://index/Back%2Eport-1.0-py3-none-any.whl", "Back.port-1.0-py3-none-any.whl"),
        ("https://index/other-1.0-py3-none-any.whl", "back_port-1.0-py3-none-any.whl"),
        ("https://index/back.port-1.0-py2-none-any.whl", "back_port-1.0-py3-none-any.whl"),
        ("https://index/files/12345", "back_port-1.0-py3-none-any.whl"),
    ],
)
def test_a_wheel_keeps_the_name_that_its_index_has(url: str, chosen: str) -> None:
    file = _file("back_port-1.0-py3-none-any.whl")
    wheel = {**file, "name": "back_port-1.0-py3-none-any.whl", "url": url}
    assert _names(_lock(_package("back-port", wheels=[wheel]))) == [chosen]


def test_what_has_neither_is_refused_with_all_that_has_not() -> None:
    lock = _lock(
        _package("numpy", "numpy-2.1.0-cp313-cp313-win_amd64.whl", version="2.1.0"),
        _package("fine", "fine-1.0-py3-none-any.whl"),
        _package("scipy", "scipy-1.0-cp313-cp313-manylinux_2_34_x86_64.whl"),
    )
    numpy, scipy = _refused(lock)
    assert numpy == (
        "numpy NoWheel numpy 2.1.0 has wheels for win_amd64, but none for linux-x86_64-gnu, and "
        "has no source distribution"
    )
    assert scipy == (
        "scipy NoWheel scipy 1.0 has wheels for glibc 2.34 and later, and they are chosen for "
        "glibc 2.28, and has no source distribution"
    )
    assert [pick.name for pick in _chosen(lock).picks] == ["fine"]


@pytest.mark.parametrize("wanted", ["<3.13", ">=3.14", "==3.13.4"])
def test_a_lock_for_another_python(wanted: str) -> None:
    told = _error(_lock(**{"requires-python": wanted}))
    assert told == (
        f"NoMatch {HERE}: it needs Python {wanted}, which 3.13.5 is not; ask for another, or "
        "lock for this one"
    )


def test_a_minor_version_stands_for_one_of_its_patches() -> None:
    """As a wheelhouse has it."""
    lock = _lock(SPEED, **{"requires-python": ">=3.13.2"})
    assert _names(lock, version="3.13")
    assert "needs Python >=3.13.2, which 3.12 is not" in _error(lock, version="3.12")


def test_a_package_for_another_python() -> None:
    package = _package("a", "a-1.0-py3-none-any.whl", **{"requires-python": ">=3.14"})
    assert _refused(_lock(package)) == ["a NoMatch a: it needs Python >=3.14, which 3.13.5 is not"]


@pytest.mark.parametrize(("wanted", "fits"), [(">=3.15", True), ("<3.15", False), (">=3.9", True)])
def test_early_builds_of_a_python(wanted: str, fits: bool) -> None:
    lock = _lock(_package("a", "a-1.0-py3-none-any.whl"), **{"requires-python": wanted})
    if fits:
        assert _names(lock, version="3.15.0rc1") == ["a-1.0-py3-none-any.whl"]
    else:
        assert "which 3.15.0rc1 is not" in _error(lock, version="3.15.0rc1")


def test_a_lock_for_other_environments() -> None:
    lock = _lock(SPEED, environments=["sys_platform == 'darwin'", "sys_platform == 'win32'"])
    assert _names(lock, "windows-x86_64-none")
    assert _error(lock) == (
        f'NoMatch {HERE}: the lock is only for (sys_platform == "darwin") or '
        '(sys_platform == "win32"), and not for cpython 3.13.5 on linux-x86_64-gnu; lock for it too'
    )


def test_markers_that_only_the_target_can_evaluate() -> None:
    on_macos = "sys_platform == 'darwin' and platform_version != ''"
    lock = _lock(
        _package("a", "a-1.0-py3-none-any.whl", marker="platform_release >= '20'"),
        _package("b", "b-1.0-py3-none-any.whl", marker=on_macos),
    )
    (told,) = _refused(lock)
    assert told.startswith("a NoMatch a: the marker 'platform_release >= \"20\"' can't be")
    assert len(_refused(lock, "macos-aarch64-none")) == 2
    doubtful = _lock(SPEED, environments=["platform_version == '1'"])
    assert "can't be evaluated for linux-x86_64-gnu" in _error(doubtful)
    assert _names(_lock(SPEED, environments=["platform_version == '1'", "os_name == 'posix'"]))


def _changed(lock: Pylock, hashes: dict[str, str]) -> Pylock:
    for package in lock.packages:
        for wheel in package.wheels or ():
            object.__setattr__(wheel, "hashes", hashes)
    return lock


@pytest.mark.parametrize(
    ("hashes", "told"),
    [
        ({}, "(no hash)"),
        ({"sha512": "00"}, "(only sha512)"),
        ({"sha256": "00"}, "(no hash)"),
        ({"sha256": "", "md5": "1", "blake2b": "2"}, "(only blake2b, md5)"),
    ],
)
def test_without_a_sha256_nothing_is_taken(hashes: dict[str, str], told: str) -> None:
    lock = _changed(_lock(SPEED), hashes)
    message = _error(lock)
    assert message.startswith("Unverified ")
    assert f"has no SHA-256 of speed-1.0-cp313-cp313-manylinux_2_28_x86_64.whl {told}" in message


def test_hashes_may_be_written_in_capitals() -> None:
    lock = _changed(_lock(SPEED), {"sha256": "AB" * 32})
    assert _choose(lock)[0].sha256 == "ab" * 32


def _real(tmp_path: Path, entry: dict[str, Any], key: str = "archive") -> tuple[Pick, ...]:
    lock = _lock({"name": "a", key: entry})
    return _choose(lock, path=tmp_path / "pylock.toml")


def test_local_files_are_relative_to_the_lock(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    name = "a-1.0-py3-none-any.whl"
    (tmp_path / "wheels" / name).write_bytes(b"")
    hashes = {"sha256": _hash("a")}
    for path in (f"wheels/{name}", f"wheels\\{name}", str(tmp_path / "wheels" / name)):
        (pick,) = _real(tmp_path, {"path": path, "hashes": hashes})
        assert (pick.kind, pick.version, pick.filename) == (WHEEL, "1.0", name)
        assert pick.urls == ((tmp_path / "wheels" / name).as_uri(),)
    lock = _lock({"name": "a", "wheels": [{"path": f"wheels/{name}", "hashes": hashes}]})
    # A project is named by its directory.
    assert _choose(lock, path=tmp_path)[0].urls == pick.urls


def test_a_local_file_comes_before_an_address(tmp_path: Path) -> None:
    name = "a-1.0-py3-none-any.whl"
    entry = {"path": name, "url": f"https://x.example/{name}", "hashes": {"sha256": _hash("a")}}
    assert _real(tmp_path, entry)[0].urls == (entry["url"],)
    (tmp_path / name).write_bytes(b"")
    assert _real(tmp_path, entry)[0].urls == ((tmp_path / name).as_uri(), entry["url"])


def test_a_local_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a is to be .*gone-1.0.tar.gz, which is no file"):
        _real(tmp_path, {"path": "gone-1.0.tar.gz", "hashes": {"sha256": _hash("a")}})


@pytest.mark.parametrize(
    ("url", "filename"),
    [
        ("https://x.example/a/archive/main.zip#egg=a", "main.zip"),
        ("https://x.example/a-1.0%2Blocal.tar.gz?token=1", "a-1.0+local.tar.gz"),
        ("https://x.example/..%2F..%2Fetc%5Cpasswd.zip", "passwd.zip"),
        ("https://x.example/", "a"),
    ],
)
def test_archives_of_source(url: str, filename: str, tmp_path: Path) -> None:
    entry = {"url": url, "hashes": {"sha256": _hash("a")}, "subdirectory": "src/a"}
    (pick,) = _real(tmp_path, entry)
    assert (pick.kind, pick.filename, pick.urls) == (SDIST, filename, (url,))
    assert (pick.subdirectory, pick.reason) == ("src/a", "it is an archive of source")


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        ("a-1.0-cp313-cp313-win_amd64.whl", r"^a has wheels for win_amd64, but none for linux"),
        ("b-1.0-py3-none-any.whl", r"a is to be b-1.0-py3-none-any.whl, which is another package"),
        ("a.whl", r"a: 'a.whl' is no name of a wheel"),
    ],
)
def test_addresses_of_wheels_that_will_not_do(filename: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(KitbagError, match=message):
        _real(tmp_path, {"url": f"https://x.example/{filename}", "hashes": {"sha256": _hash("a")}})


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a has an address that can't be read"):
        _real(tmp_path, {"url": "https://[::1", "hashes": {"sha256": _hash("a")}})


def test_directories_and_repositories(tmp_path: Path) -> None:
    (tmp_path / "my app").mkdir()
    (pick,) = _real(tmp_path, {"path": "my app", "editable": True}, "directory")
    assert (pick.kind, pick.path) == (DIRECTORY, str(tmp_path / "my app"))
    assert pick.reason == "it is a directory of source"
    with pytest.raises(UsageError, match=r"a is to be in .*gone, which is no directory"):
        _real(tmp_path, {"path": "gone"}, "directory")
    entry = {"type": "git", "url": "https://x.example/a.git", "commit-id": "f00"}
    (pick,) = _real(tmp_path, {**entry, "subdirectory": "lib"}, "vcs")
    assert (pick.kind, pick.vcs, pick.repository) == (VCS, "git", "https://x.example/a.git")
    assert (pick.commit, pick.subdirectory) == ("f00", "lib")
    assert pick.reason == "it comes from a git repository"
    (pick,) = _real(tmp_path, {"type": "git", "path": "a", "commit-id": "f00"}, "vcs")
    assert pick.repository == str(tmp_path / "a")


def test_all_that_is_refused_is_told() -> None:
    lock = _lock(
        _package("a", "a-1.0-py2-none-any.whl"),
        _package("b", "b-1.0-py3-none-any.whl", marker="platform_version == '1'"),
        _package("c", "c-1.0-py3-none-any.whl", marker="extra == 'x'"),
    )
    a, b, c = _refused(lock)
    assert a.startswith("a NoWheel a 1.0 ")
    assert b.startswith("b NoMatch b: the marker ")
    assert c.startswith("c NoMatch c: the marker ")


_WANTED = """
numpy
pydantic
cryptography
rich
pyyaml
charset-normalizer
sqlalchemy
psutil
protobuf
uvicorn[standard]
tqdm
markupsafe
lxml
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], tuple[str, ...]]:
    """Surroundings in which uv reaches this machine's index, and options for it."""
    ours = ("UV_OFFLINE", "UV_NO_CONFIG", "PIP_NO_INDEX")
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    folder = tmp_path_factory.mktemp("uv")
    variables, options = index_settings(folder, Accounts(), environ)
    environ = {**environ, **variables, "UV_CACHE_DIR": str(folder / "cache")}
    done = _uv(environ, folder, "wheel\n", *options)
    require(done.returncode == 0, "a package index that uv can reach")
    return environ, options


def _uv(
    environ: dict[str, str], folder: Path, wanted: str, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [uv_program(), "pip", "compile", "-", "--no-python-downloads", "--no-header", *options],
        input=wanted,
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_real_packages_are_the_files_that_uv_chooses(
    version: str, index: tuple[dict[str, str], tuple[str, ...]], tmp_path: Path
) -> None:
    environ, options = index
    common = ("--python-version", version, *options)
    locked = _uv(environ, tmp_path, _WANTED, "--universal", "--format", "pylock.toml", *common)
    assert locked.returncode == 0, locked.stderr
    lock = Pylock.from_dict(tomllib.loads(locked.stdout))
    pins = _uv(environ, tmp_path, _WANTED, "--universal", "--no-annotate", *common)
    (tmp_path / "pins.txt").write_text(pins.stdout)
    for target, triple in SIX.items():
        done = _uv(environ, tmp_path, _WANTED, "-v", "-c", "pins.txt", *common,
                   "--python-platform", triple)  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        chosen = re.findall(r"Selecting: (\S+?)==\S+ \[compatible\] \((\S+)\)", done.stderr)
        assert len(dict(chosen)) > 15
        ours = {pick.name: pick.filename for pick in _choose(lock, target, version=version)}
        assert ours == dict(chosen), target
