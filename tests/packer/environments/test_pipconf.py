"""pip's configuration."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.environments.pipconf import PipConfiguration, pip_configuration

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def alone(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home whose files are read, and nothing of this machine's virtual environment."""
    if os.path.exists("/etc/pip.conf"):
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
    del environ["PIP_CONFIG_FILE"]
    return tmp_path / "nobody"


def test_nothing(environ: dict[str, str]) -> None:
    assert pip_configuration(environ) == PipConfiguration()
    assert not pip_configuration(environ).is_something


def test_of_files_the_later_wins(environ: dict[str, str], alone: Path) -> None:
    (alone / ".pip").mkdir()
    (alone / ".pip/pip.conf").write_text(
        "[global]\nindex-url = https://old/simple\nextra-index-url =\n  https://a/\n  https://b/\n"
        "trusted-host = a b\n"
    )
    (alone / ".config/pip").mkdir(parents=True)
    (alone / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://me:s3cret@new/simple\nfind_links = ~/wheels https://links/\n"
        "[install]\nno-index = yes\ncert = /ca.pem\n[list]\nformat = json\n"
    )
    found = pip_configuration(environ)
    assert found.index == "https://me:s3cret@new/simple"
    assert found.extra == ("https://a/", "https://b/")
    assert found.links == (os.path.expanduser("~/wheels"), "https://links/")
    assert found.hosts == ("a", "b")
    assert found.cert == "/ca.pem"
    assert found.no_index
    assert "s3cret" not in repr(found)


def test_the_environment_wins_over_all(environ: dict[str, str], alone: Path) -> None:
    named = alone / "named.conf"
    named.write_text("[global]\nindex-url = https://named/\nno-index = 1\n")
    environ["PIP_CONFIG_FILE"] = str(named)
    assert pip_configuration(environ).index == "https://named/"
    environ["PIP_INDEX_URL"] = "https://variable/"
    environ["PIP_NO_INDEX"] = "0"
    found = pip_configuration(environ)
    assert (found.index, found.no_index) == ("https://variable/", False)


def test_files_that_are_none_say_nothing(environ: dict[str, str], alone: Path) -> None:
    broken = alone / "broken.conf"
    environ["PIP_CONFIG_FILE"] = str(broken)
    for data in (b"no section\n", b"[global\n", b"\xff\xfe"):
        broken.write_bytes(data)
        assert pip_configuration(environ).index == ""
