from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from kitbag_installer.rewriting import pkgconfig
from support.require import require_command

from .texts import all_texts

if TYPE_CHECKING:
    from pathlib import Path

EACH = pytest.mark.parametrize("texts", all_texts(), ids=lambda texts: texts.interpreter.minor)


@EACH
@pytest.mark.parametrize("folder", ["plain", "o p/größe"])
def test_pkg_config_finds_the_files_wherever_they_are(texts, folder: str, tmp_path: Path) -> None:
    command = require_command("pkg-config")
    home = tmp_path / folder
    place = home / "lib" / "pkgconfig"
    place.mkdir(parents=True)
    for path, text in texts.files.items():
        if path.endswith(".pc"):
            new = pkgconfig.rewrite(text)
            assert "/install" not in new
            assert new.startswith("# See: man pkg-config\nprefix=${pcfiledir}/../..\n")
            (home / path).write_text(new, encoding="utf-8")
    minor = texts.interpreter.minor
    done = subprocess.run(
        [command, "--cflags", "--libs", "--static", f"python-{minor}-embed"],
        env={"PKG_CONFIG_PATH": str(place)},
        capture_output=True,
        check=True,
    )
    # pkg-config escapes every byte that is not ASCII.
    words = shlex.split(done.stdout.decode("latin-1"))
    words = [word.encode("latin-1").decode() for word in words]
    assert f"-I{place}/../../include/python{minor}" in words
    assert f"-L{place}/../../lib" in words
    assert f"-lpython{minor}" in words
    assert f"-Wl,-rpath,{place}/../../lib" in words


@EACH
def test_a_relative_file_stays_as_it_is(texts) -> None:
    for path, text in texts.files.items():
        if path.endswith(".pc"):
            once = pkgconfig.rewrite(text)
            assert pkgconfig.rewrite(once) == once


def test_tcls_files_have_the_dependencies_as_their_prefix() -> None:
    text = (
        "prefix=/tools/deps\nexec_prefix=/tools/deps\nlibdir=/tools/deps/lib\n\n"
        "Libs: -L${libdir} -ltcl9.0\n"
    )
    assert pkgconfig.rewrite(text) == (
        "prefix=${pcfiledir}/../..\nexec_prefix=${prefix}\nlibdir=${prefix}/lib\n\n"
        "Libs: -L${libdir} -ltcl9.0\n"
    )


def test_the_build_machine_goes_and_look_alikes_stay() -> None:
    text = (
        "prefix = /install\nLibs.private: -L/tools/deps/lib -lz\nurl=https://example.org/install/\n"
    )
    assert pkgconfig.rewrite(text) == (
        "prefix = ${pcfiledir}/../..\nLibs.private: -lz\nurl=https://example.org/install/\n"
    )
    assert pkgconfig.rewrite("libdir=/install/lib\n") == "libdir=${pcfiledir}/../../lib\n"
