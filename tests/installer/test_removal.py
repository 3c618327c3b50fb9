from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.receipts import read_receipt
from kitbag_installer.removal import uninstall_builds
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny
from support.snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOWS = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")


class Remarks(SilentReporter):
    def __init__(self) -> None:
        self.infos: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.4", "3.13.5")
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"), default=True)


def uninstall(
    root: Root, *requests: str, remarks: Remarks | None = None, bin_dirs: Sequence[str] = ()
) -> tuple[list[BuildKey], list[str]]:
    done = uninstall_builds(root, parse_requests(requests), remarks or Remarks(), bin_dirs)
    return list(done.keys), sorted(map(os.path.basename, done.links))


def of_uv(root: Root, key: BuildKey) -> Path:
    """A build as uv leaves one, as far as a root is concerned."""
    home = Path(root.install_path(key))
    library = home / "lib" / f"python{key.version.minor_text}"
    library.mkdir(parents=True)
    (home / "BUILD").write_text("20260101")
    (library / "EXTERNALLY-MANAGED").write_text(
        "[externally-managed]\nError=This Python installation is managed by uv.\n"
    )
    (home / "bin").mkdir()
    program = home / "bin" / f"python{key.version.minor_text}"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return home


def test_a_build_goes_with_its_names(root: Root, tmp_path: Path) -> None:
    assert uninstall(root, "3.12") == ([host_key("3.12.9")], ["python3.12"])
    assert list(root.builds()) == [host_key("3.13.4"), host_key("3.13.5")]
    assert sorted(os.listdir(tmp_path / "bin")) == ["kitbag", "python", "python3", "python3.13"]
    assert not os.path.lexists(root.minor_link(host_key("3.12.9")))
    assert os.listdir(root.temp) == []


def test_the_next_patch_takes_over(root: Root, tmp_path: Path) -> None:
    assert uninstall(root, "3.13.5") == ([host_key("3.13.5")], [])
    place = root.install_path(host_key("3.13.4"))
    assert os.path.realpath(tmp_path / "bin" / "python3.13") == f"{place}/bin/python3.13"
    assert os.readlink(root.minor_link(host_key())) == place


def test_with_the_last_one_everything_goes(root: Root, tmp_path: Path) -> None:
    keys, links = uninstall(root)
    assert len(keys) == 3
    assert links == ["python", "python3", "python3.12", "python3.13"]
    assert not (tmp_path / "bin").exists()
    assert not (tmp_path / "root").exists()


def test_other_peoples_files_stay(root: Root, tmp_path: Path) -> None:
    (tmp_path / "bin" / "own").write_text("own")
    (tmp_path / "bin" / "other").symlink_to("/nothing/of/ours")
    (Path(root.path) / "notes").mkdir()
    (Path(root.temp) / ".tmpAbCdEf").mkdir()
    uninstall(root)
    assert sorted(os.listdir(tmp_path / "bin")) == ["other", "own"]
    assert sorted(os.listdir(root.path)) == [".temp", "notes"]
    assert os.listdir(root.temp) == [".tmpAbCdEf"]


class TestOtherTools:
    def test_their_builds_go_by_their_full_key_alone(self, root: Root) -> None:
        key = host_key("3.11.7")
        of_uv(root, key)
        for request in ("3.11", "3.11.7", f"cpython-3.11-{key.target}"):
            with pytest.raises(NoMatch, match="nothing that kitbag installed") as caught:
                uninstall(root, request)
            assert f"uv python uninstall {key}" in str(caught.value)
        remarks = Remarks()
        assert uninstall(root, str(key), remarks=remarks) == ([key], [])
        assert remarks.infos == [f"{key} was not installed by kitbag but by uv; it was named"]

    def test_whoever_made_it_is_told(self, root: Root) -> None:
        os.makedirs(root.install_path(host_key("3.11.7")))
        with pytest.raises(NoMatch, match="was installed by another tool; name its full key"):
            uninstall(root, "3.11")

    def test_a_request_takes_ours_and_leaves_theirs(self, root: Root) -> None:
        theirs = host_key("3.13.7")
        of_uv(root, theirs)
        remarks = Remarks()
        assert uninstall(root, "3.13", remarks=remarks)[0] == [
            host_key("3.13.4"), host_key("3.13.5")
        ]  # fmt: skip
        assert remarks.infos == [f"{theirs} stays: it was installed by uv"]
        assert os.readlink(root.minor_link(theirs)) == root.install_path(theirs)

    def test_all_means_ours(self, root: Root, tmp_path: Path) -> None:
        theirs = host_key("3.11.7")
        home = of_uv(root, theirs)
        link = Path(root.minor_link(theirs))
        link.symlink_to(home)
        name = tmp_path / "bin" / "python3.11"
        name.symlink_to(link / "bin" / "python3.11")
        before = snapshot(home, link, name)
        done = uninstall_builds(root, (), SilentReporter())
        assert (len(done.keys), done.left) == (3, (theirs,))
        assert snapshot(home, link, name) == before
        assert os.listdir(tmp_path / "bin") == ["python3.11"]
        assert sorted(os.listdir(root.path)) == sorted(
            [".gitignore", ".lock", ".temp", str(theirs), link.name]
        )

    def test_links_of_theirs_to_what_is_gone_go(self, root: Root, tmp_path: Path) -> None:
        """uv makes its own names for builds that it finds; where it makes them the caller knows."""
        theirs = tmp_path / "of-uv"
        theirs.mkdir()
        (theirs / "python3.12").symlink_to(f"{root.minor_link(host_key('3.12.9'))}/bin/python3.12")
        (theirs / "lost").symlink_to("/nothing/of/ours")
        assert uninstall(root, "3.12", bin_dirs=[str(theirs)])[1] == ["python3.12"] * 2
        assert os.listdir(theirs) == ["lost"]


class TestRequests:
    @pytest.fixture
    def many(self, tmp_path: Path) -> Root:
        bundle = tiny_bundle(tmp_path / "x.kitbag", "3.14.0", "3.14.0t")
        root = install_tiny(bundle, tmp_path / "root")
        for version in ("3.14.0rc1", "3.15.0a2"):
            _copy(root, host_key("3.14.0"), host_key(version))
        return root

    def test_a_version_is_neither_a_variant_nor_a_prerelease(self, many: Root) -> None:
        assert uninstall(many, "3.14")[0] == [host_key("3.14.0")]
        assert uninstall(many, "3.14t")[0] == [host_key("3.14.0", "freethreaded")]

    def test_a_prerelease_is_meant_where_nothing_else_can_be(self, many: Root) -> None:
        assert uninstall(many, "3.15")[0] == [host_key("3.15.0a2")]

    def test_a_version_is_cpython(self, many: Root) -> None:
        pypy = BuildKey.parse(str(host_key("3.14.0")).replace("cpython", "pypy"))
        _copy(many, host_key("3.14.0"), pypy)
        assert uninstall(many, "3.14")[0] == [host_key("3.14.0")]
        assert uninstall(many, "pypy3.14")[0] == [pypy]

    def test_a_build_for_another_machine_has_to_be_named(self, root: Root) -> None:
        _copy(root, host_key(), WINDOWS, foreign=True)
        assert WINDOWS not in uninstall(root, "3.13")[0]
        with pytest.raises(NoMatch, match="is for another machine; name its full key"):
            uninstall(root, "3.13")
        assert uninstall(root, "3.13-windows")[0] == [WINDOWS]

    def test_all_takes_it_along(self, root: Root) -> None:
        _copy(root, host_key(), WINDOWS, foreign=True)
        assert WINDOWS in uninstall(root)[0]

    def test_latest_is_one_build_and_not_all(self, root: Root) -> None:
        assert uninstall(root, "latest")[0] == [host_key("3.13.5")]

    def test_a_request_that_names_nothing_removes_nothing(self, root: Root) -> None:
        with pytest.raises(NoMatch, match=r"nothing installed matches '3\.9'"):
            uninstall(root, "3.13", "3.9")
        assert len(list(root.builds())) == 3


def _copy(root: Root, key: BuildKey, new: BuildKey, *, foreign: bool = False) -> None:
    """Another build with the receipt of ``key``."""
    receipt = read_receipt(root.install_path(key))
    table = vars(dataclasses.replace(receipt, foreign=foreign))
    text = json.dumps(
        {name.replace("_", "-"): value for name, value in table.items()}
        | {"key": str(new), "format": 1}
    )
    folder = Path(root.install_path(new), ".kitbag")
    folder.mkdir(parents=True)
    (folder / "receipt.json").write_text(text)


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    root = Root(str(tmp_path / "nothing"))
    assert uninstall(root) == ([], [])
    with pytest.raises(NoMatch):
        uninstall(root, "3.13")
    (tmp_path / "empty").mkdir()
    for requests in ((), ("3.13",)):
        empty = Root(str(tmp_path / "empty"))
        if requests:
            with pytest.raises(NoMatch):
                uninstall(empty, *requests)
        else:
            uninstall(empty)
        assert snapshot(tmp_path / "empty").keys() == {str(tmp_path / "empty")}
    assert os.listdir(tmp_path) == ["empty"]
