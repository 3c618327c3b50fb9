"""What site-packages gives up: pip and setuptools as recorded, nothing else."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.rerooting.distributions import (
    Distribution,
    Row,
    find_distribution,
    format_record,
    parse_record,
    row_for,
)

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"pip/__init__.py": b"version = 1\n", "pip/cacert.pem": b"certificates\n"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    info = folder / "pip-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "pip").mkdir()
    rows = [Row("../../../bin/pip3", "sha256=x", "3"), Row("pip/__pycache__/a.pyc", "", "")]
    for path, data in FILES.items():
        (folder / path).write_bytes(data)
        rows.append(row_for(path, data))
    rows += [Row("pip-1.0.dist-info/INSTALLER", "", ""), Row("pip-1.0.dist-info/RECORD", "", "")]
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text(format_record(rows))
    return folder


def find(site: Path) -> Distribution | str | None:
    return find_distribution(site, "pip", site.parent / "wheels")


def test_a_recorded_distribution_is_found(site: Path) -> None:
    found = find(site)
    assert isinstance(found, Distribution)
    assert found.record == "pip-1.0.dist-info/RECORD"
    assert {row.path for row in found.rows} >= set(FILES)
    assert not found.restored


def test_there_may_be_none(tmp_path: Path) -> None:
    assert find_distribution(tmp_path, "pip", tmp_path) is None


@pytest.mark.parametrize("change", ["alter", "remove", "link"])
def test_an_altered_distribution_is_left_out(site: Path, change: str) -> None:
    place = site / "pip/cacert.pem"
    if change == "alter":
        place.write_bytes(b"ours\n")
    else:
        place.unlink()
    if change == "link":
        place.symlink_to("__init__.py")
    found = find(site)
    assert isinstance(found, str)
    assert "pip/cacert.pem is not what its RECORD says" in found


def test_altered_files_come_back_from_the_bundled_wheel(site: Path) -> None:
    (site / "pip/cacert.pem").write_bytes(b"ours\n")
    wheels = site.parent / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "pip-1.0-py3-none-any.whl", "w") as wheel:
        for path, data in FILES.items():
            wheel.writestr(path, data)
    found = find(site)
    assert isinstance(found, Distribution)
    assert found.restored == {"pip/cacert.pem": b"certificates\n"}


def test_a_wheel_of_another_build_does_not_help(site: Path) -> None:
    (site / "pip/cacert.pem").write_bytes(b"ours\n")
    wheels = site.parent / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "pip-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pip/cacert.pem", b"theirs\n")
    assert isinstance(find(site), str)


def test_other_installers_and_missing_records_are_told(site: Path) -> None:
    info = site / "pip-1.0.dist-info"
    (info / "INSTALLER").write_text("conda\n")
    assert "installed by 'conda'" in str(find(site))
    (info / "RECORD").unlink()
    assert "no RECORD" in str(find(site))


def test_two_versions_are_none(site: Path) -> None:
    (site / "pip-2.0.dist-info").mkdir()
    assert "more than once" in str(find(site))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(st.lists(st.builds(Row, TEXT.filter(bool), TEXT, TEXT)))
def test_records_survive_reading_and_writing(rows: list[Row]) -> None:
    assert parse_record(format_record(rows)) == rows
