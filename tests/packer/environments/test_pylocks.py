"""pylock.toml: what PEP 751 allows, what it does not, and what must not stay in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments.pylocks import parsed, pylock_of, read_table
from kitbag_packer.errors import Unverified
from support.downloading import Notes

if TYPE_CHECKING:
    from packaging.pylock import Pylock

A = "a" * 64
FILE = {"url": "https://host/demo-1.0-py3-none-any.whl", "hashes": {"sha256": A}}


def table(*packages: Any, **more: Any) -> dict[str, Any]:
    return {"lock-version": "1.0", "created-by": "test", "packages": list(packages), **more}


def package(**more: Any) -> dict[str, Any]:
    return {"name": "demo", "version": "1.0", **more}


def read(values: dict[str, Any], accounts: Accounts | None = None) -> Pylock:
    return pylock_of(values, "the lock", Path("/base"), accounts or Accounts(), SilentReporter())


def test_a_lock(tmp_path: Path) -> None:
    found = read(table(package(wheels=[FILE]), extras=["x"]))
    assert found.packages[0].name == "demo"
    assert list(found.extras or ()) == ["x"]


def test_paths_become_absolute() -> None:
    found = read(
        table(
            package(wheels=[{"path": "w/demo-1.0-py3-none-any.whl", "hashes": {"sha256": A}}]),
            {"name": "one", "directory": {"path": "../one", "editable": True}},
            {"name": "two", "archive": {"path": "/two-1.tar.gz", "hashes": {"sha256": A}}},
            {"name": "three", "vcs": {"type": "git", "path": "repo", "commit-id": "c"}},
        )
    )
    one, two, three, four = found.packages
    assert one.wheels is not None
    assert one.wheels[0].path == "/base/w/demo-1.0-py3-none-any.whl"
    assert two.directory is not None
    assert two.directory.path == "/one"
    assert three.archive is not None
    assert three.archive.path == "/two-1.tar.gz"
    assert four.vcs is not None
    assert four.vcs.path == "/base/repo"


def test_credentials_are_moved() -> None:
    accounts = Accounts()
    found = read(
        table(
            package(
                index="https://me:s3cret@host/simple",
                wheels=[{**FILE, "url": "https://me:s3cret@host/demo-1.0-py3-none-any.whl"}],
            ),
            {
                "name": "two",
                "vcs": {"type": "git", "url": "https://x:t0ken@forge/two", "commit-id": "c"},
            },
            {
                "name": "three",
                "vcs": {"type": "git", "url": "ssh://git@forge/three", "commit-id": "c"},
            },
            tool={"any": [{"note": "https://a:s4cret@else/"}]},
        ),
        accounts,
    )
    assert "cret" not in repr(found)
    assert "t0ken" not in repr(found)
    assert accounts.of("https://host/demo-1.0-py3-none-any.whl") == ("me", "s3cret")
    assert accounts.of("https://forge/two") == ("x", "t0ken")
    assert accounts.of("https://forge/other") is None
    assert "ssh://git@forge/three" in repr(found)


@pytest.mark.parametrize("kind", ["wheels", "sdist", "archive"])
@pytest.mark.parametrize("hashes", [None, {}])
def test_files_without_a_hash_are_refused(kind: str, hashes: object) -> None:
    name = "demo-1.0-py3-none-any.whl" if kind != "sdist" else "demo-1.0.tar.gz"
    file = {"url": f"https://host/{name}", **({} if hashes is None else {"hashes": hashes})}
    with pytest.raises(Unverified, match="the lock has no hash for files of demo"):
        read(table(package(**{kind: [file] if kind == "wheels" else file})))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (table(**{"lock-version": "2.0"}), "lock-version '2.0', and this kitbag reads 1.x"),
        (table(**{"lock-version": "x"}), "is no lock as PEP 751 has it"),
        ({}, "is no lock as PEP 751 has it"),
        (table(packages=3), "is no lock"),
        (table(3), "is no lock"),
        (table({"name": "Demo_X"}), "not normalized"),
        (table(package()), "is no lock"),
        (table(package(wheels=[{**FILE, "url": "https://h/x-1-py3-none-any.whl"}])), "is no lock"),
        (table(package(wheels=[FILE], marker="nonsense")), "is no lock"),
        (table(package(wheels=[{**FILE, "url": "https://a:s3cret@h/\n"}])), "is no lock"),
    ],
)
def test_what_is_none_is_one_line(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(values)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_later_minor_version_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    values = table(package(wheels=[FILE]), **{"lock-version": "1.7", "new-thing": 1})
    with caplog.at_level(logging.WARNING):
        pylock_of(values, "the lock", Path("/"), Accounts(), notes)
    assert [each for each in notes.messages if "1.7" in each] == notes.messages
    assert caplog.records == []
    assert not logging.getLogger("packaging.pylock").disabled


class TestFiles:
    def test_toml(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_text("x = 1\n")
        assert read_table(tmp_path / "a.toml") == {"x": 1}

    @pytest.mark.parametrize("data", [b"x = [", b"\xff", b"[" * 100_000])
    def test_what_is_no_toml(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.toml").write_bytes(data)
        with pytest.raises(UsageError, match=r"a\.toml is not TOML") as refused:
            read_table(tmp_path / "a.toml")
        assert "\n" not in str(refused.value)

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="check the path"):
            read_table(tmp_path / "none.toml")

    def test_uvs_own(self) -> None:
        assert parsed("x = 1", "y") == {"x": 1}
        with pytest.raises(UsageError, match="update uv"):
            parsed("x = ", "y")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "1.0", "demo", "a://b@c", A]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["lock-version", "packages", "name", "wheels", "hashes", "path", "url", "vcs"]
            ),
            inner,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["packages", "extras", "created-by"]), _VALUES))
def test_anything_is_a_lock_or_one_line(values: dict[str, Any]) -> None:
    try:
        read({"lock-version": "1.0", "created-by": "x", **values})
    except KitbagError as error:
        assert "\n" not in str(error)  # noqa: PT017
