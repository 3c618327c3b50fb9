from __future__ import annotations

import ast
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_installer.rewriting import scripts
from support.require import require_command

from .texts import ODD_HOMES, OLD_TRAMPOLINE, TRAMPOLINE

if TYPE_CHECKING:
    from pathlib import Path

BODY = (
    "# -*- coding: utf-8 -*-\nfrom __future__ import annotations\nimport sys\n"
    "if __name__ == '__main__':\n    print([sys.argv[1:], __file__, 'ü'])\n"
)
ODD_FOLDERS = [*ODD_HOMES, "/a'''b\"\"\"c", "/''$'$$'`\\N{x}\\", "/\\u12 \\x", "/$(exit 3)`exit 4`"]


def run(script: Path, *command: str, argument: str = "a b") -> list[object]:
    done = subprocess.run(
        [*command, script, argument, "$x", ""],
        env={"PYTHONUTF8": "1", "PATH": "/nowhere", "PYTHONWARNINGS": "error"},
        capture_output=True,
    )
    assert not done.stderr
    answer: list[object] = ast.literal_eval(done.stdout.decode())
    return answer


def installed(home: Path) -> str:
    """An interpreter at the end of ``home``."""
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3.x").symlink_to(os.path.realpath(sys.executable))
    return f"{home}/bin/python3.x"


def written(folder: Path, interpreter: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "tool"
    script.write_text(scripts.script_header(interpreter) + BODY, encoding="utf-8")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("length", [126, 127, 128, 300])
def test_the_kernel_or_the_shell_starts_it_at_every_length(length: int, tmp_path: Path) -> None:
    fixed = len(os.fsencode(f"#!{tmp_path}//bin/python3.x"))
    assert fixed < 125
    room = length - fixed
    folder = "/".join(["x" * 90] * (room // 91)) if room > 200 else ""
    home = tmp_path / folder / ("y" * (room - len(folder) - bool(folder)))
    interpreter = installed(home)
    assert len(f"#!{interpreter}") == length
    script = written(tmp_path / "scripts", interpreter)
    direct = script.read_bytes().startswith(f"#!{interpreter}\n".encode())
    assert direct == (length <= 127)
    assert run(script) == [["a b", "$x", ""], str(script), "ü"]


def test_bytes_are_counted_not_letters() -> None:
    assert scripts.script_header("/" + "ü" * 62).startswith("#!/ü")
    assert scripts.script_header("/" + "ü" * 63).startswith("#!/bin/sh\n")


@pytest.mark.parametrize("folder", ODD_FOLDERS)
def test_any_home_works_in_every_shell(folder: str, tmp_path: Path) -> None:
    script = written(tmp_path / "scripts", installed(tmp_path / folder[1:]))
    expected = [["a b", "$x", ""], str(script), "ü"]
    assert run(script) == expected
    if script.read_text(encoding="utf-8").startswith("#!/bin/sh\n"):
        for shell in ("sh", "bash"):
            assert run(script, require_command(shell)) == expected
        assert run(script, require_command("busybox"), "sh") == expected
    assert run(script, sys.executable) == expected


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"])), st.sampled_from(["", "-I"]))
def test_python_reads_every_header_without_a_warning(text: str, arguments: str) -> None:
    header = scripts.script_header(f"/x {text}", arguments)
    assert header.count("\n") == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = ast.parse(f"{header}from __future__ import annotations\nx = 1\n")
    assert len(tree.body) == 3


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"])))
def test_python_shebangs_read_their_own_output(text: str) -> None:
    text = scripts.script_header(f"/h {text}/bin/python3", "") + BODY
    assert scripts.rewrite(text, "/opt/python3") == f"#!/opt/python3\n{BODY}"


@pytest.mark.parametrize(
    "header",
    [
        "#!/install/bin/python3.13\n",
        "#! /install/bin/python3\n",
        "#!/build/out/python/install/bin/python3\n",
        TRAMPOLINE.format("python3.13t"),
        OLD_TRAMPOLINE.format("python3.10"),
        '#!/bin/sh\n"exec" "$(dirname "$0")/python3.12" "$0" "$@"\n',
        "#!/bin/sh\n'''exec' \"/install/bin/python3.13\" \"$0\" \"$@\"\n' '''\n",
        TRAMPOLINE.format("python3").replace('/python3"', "\"/'python3'"),
    ],
)
def test_every_known_header_is_replaced(header: str) -> None:
    assert scripts.rewrite(header + BODY, "/o/python") == "#!/o/python\n" + BODY


def test_arguments_of_the_shebang_are_kept() -> None:
    text = "#!/install/bin/python3.13 -Es\nx\n"
    assert scripts.rewrite(text, "/o/python") == "#!/o/python -Es\nx\n"
    assert '"/o p/python" -Es "$0"' in scripts.rewrite(text, "/o p/python")


@pytest.mark.parametrize(
    "text",
    [
        "#!/usr/bin/env python3\nx\n",
        "#!/usr/bin/python3\nx\n",
        "#!/bin/sh\necho hello\n",
        "#!/bin/sh\nexec python3 x\n",
        "import os\n#!/install/bin/python3\n",
        "#!/installer/bin/python3\nx\n",
        "#!/install/bin/perl\nx\n",
        "",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert scripts.rewrite(text, "/o/python") == text


def test_a_library_module_with_any_interpreter() -> None:
    text = '#! /usr/local/bin/python\n\n# NOTE: the above "/usr/local/bin/python" is fine\n'
    new = scripts.rewrite(text, "/o/python", any_place=True)
    assert new == "#!/o/python\n" + text.partition("\n")[2]
    assert scripts.rewrite(text, "/o/python") == text
    text = "#!/usr/bin/env python3\n"
    assert scripts.rewrite(text, "/o/python", any_place=True) == text
