"""The generated files, each rewritten as what it is."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.rerooting import generated
from kitbag_packer.rerooting.relocation import Relocation
from support.relocation import trampoline

PREFIX = "/opt/pythons/3.13"
RULES = Relocation([(PREFIX, "/install"), (f"{PREFIX}/lib64", "/install/lib")])


def variables_of(text: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(text, scope)
    found: dict[str, Any] = scope["build_time_vars"]
    return found


def test_sysconfigdata_is_read_and_written_as_a_dictionary() -> None:
    text = (
        "# system configuration generated and used by the sysconfig module\n"
        f"build_time_vars = {{'prefix': '{PREFIX}',\n 'LDFLAGS': '-L{PREFIX}/lib64 '\n"
        "            '-Wl,-O1',\n 'N': 1, 'Q': 'a\"b\\\\c\\n'}\n"
    )
    result = generated.sysconfigdata(text, RULES)
    assert variables_of(result) == {
        "prefix": "/install",
        "LDFLAGS": "-L/install/lib -Wl,-O1",
        "N": 1,
        "Q": 'a"b\\c\n',
    }
    assert result.splitlines()[1] == "build_time_vars = {"
    assert result.splitlines()[2] == '    "LDFLAGS": "-L/install/lib -Wl,-O1",'


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True),
        st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_sysconfigdata_keeps_every_value_it_need_not_change(values: dict[str, Any]) -> None:
    rules = Relocation([("/no/such/prefix", "/install")])
    text = f"build_time_vars = {values!r}\n"
    expected = {
        name: rules.variable(name, value) if isinstance(value, str) else value
        for name, value in values.items()
    }
    once = generated.sysconfigdata(text, rules)
    assert variables_of(once) == expected
    assert generated.sysconfigdata(once, rules) == once


def test_sysconfigdata_that_is_a_program_is_treated_as_text() -> None:
    text = f"import os\nbuild_time_vars = dict(prefix='{PREFIX}')\n"
    assert generated.sysconfigdata(text, RULES) == text.replace(PREFIX, "/install")


def test_this_pythons_own_sysconfigdata_survives() -> None:
    name = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]
    module = __import__(name)
    assert module.__file__ is not None
    text = Path(module.__file__).read_text("utf-8")
    rules = Relocation([("/no/such/prefix", "/install")])
    result = variables_of(generated.sysconfigdata(text, rules))
    assert result.keys() == module.build_time_vars.keys()


def test_json_of_3_14() -> None:
    text = json.dumps(
        {"prefix": PREFIX, "userbase": "/home/ann/.local", "n": 1, "TZPATH": "/usr/x"}
    )
    assert json.loads(generated.sysconfig_json(text, RULES)) == {
        "prefix": "/install",
        "userbase": "/build/local/.local",
        "n": 1,
        "TZPATH": "/usr/x",
    }


def test_build_details_move_absolute_paths_and_keep_relative_ones() -> None:
    text = json.dumps(
        {"base_prefix": "../..", "c_api": {"headers": f"{PREFIX}/include"}, "suffixes": [".so"]}
    )
    assert json.loads(generated.build_details(text, RULES)) == {
        "base_prefix": "../..",
        "c_api": {"headers": "/install/include"},
        "suffixes": [".so"],
    }


def test_makefile() -> None:
    text = (
        f"prefix=\t\t{PREFIX}\nLIBDIR=\t$(prefix)/lib\nX= -L{PREFIX}/lib64\n"
        f"\trm -f {PREFIX}/x # {PREFIX}\n"
    )
    assert generated.makefile(text, RULES) == (
        "prefix=\t\t/install\nLIBDIR=\t$(prefix)/lib\nX= -L/install/lib\n"
        "\trm -f /install/x # /install\n"
    )


def test_makefile_below_usr_keeps_the_system() -> None:
    rules = Relocation([("/usr", "/install"), ("/usr/lib64", "/install/lib")])
    rest = "INSTALL=\t/usr/bin/install -c\n\tcp /usr/lib64/x .\n"
    text = f"prefix=\t/usr\nLIBDIR=\t/usr/lib64\n{rest}"
    assert generated.makefile(text, rules) == f"prefix=\t/install\nLIBDIR=\t/install/lib\n{rest}"


def test_pkg_config_in_both_forms() -> None:
    text = (
        f"prefix={PREFIX}\nexec_prefix=${{prefix}}\nlibdir={PREFIX}/lib64\n\nLibs: -L${{libdir}}\n"
    )
    assert generated.pkg_config(text, RULES) == (
        "prefix=/install\nexec_prefix=${prefix}\nlibdir=/install/lib\n\nLibs: -L${libdir}\n"
    )
    relative = "prefix=${pcfiledir}/../..\nlibdir=${exec_prefix}/lib\n"
    assert generated.pkg_config(relative, RULES) == relative


def test_config_script_below_usr() -> None:
    rules = Relocation([("/usr", "/install"), ("/usr/lib/x86_64-linux-gnu", "/install/lib")])
    text = (
        'prefix="/usr"\nexec_prefix="${prefix}"\n'
        'libdir=$(echo "/usr/lib/x86_64-linux-gnu" | sed "s#$prefix#$prefix_real#")\n'
        'LIBS="-L/usr/lib/x86_64-linux-gnu -ldl"\n'
    )
    assert generated.config_script(text, rules) == (
        'prefix="/install"\nexec_prefix="${prefix}"\n'
        'libdir=$(echo "/install/lib" | sed "s#$prefix#$prefix_real#")\n'
        'LIBS="-L/usr/lib/x86_64-linux-gnu -ldl"\n'
    )


@pytest.mark.parametrize(
    "start",
    [
        b"#!/usr/bin/python3.13\n",
        b"#! /opt/pythons/3.13/bin/python3 -E\n",
        b"#!/usr/bin/env /opt/x/python\n",
        trampoline("python3.13").encode(),
        b"#!/bin/sh\n'''exec' '/a place/bin/python3.13' \"$0\" \"$@\"\n' '''\n",
        b'#!/bin/sh\n"exec" "$(dirname $0)/python3" "$0" "$@"\n',
    ],
)
def test_scripts_get_a_plain_shebang(start: bytes) -> None:
    body = b"import sys\n'''exec' is only text here\n"
    assert generated.script(start + body, "python3.13t") == b"#!/install/bin/python3.13t\n" + body


@pytest.mark.parametrize(
    "data", [b"", b"#!/bin/sh\necho hi\n", b"import x\n", b"#!/usr/bin/perl\n"]
)
def test_other_scripts_stay(data: bytes) -> None:
    assert generated.script(data, "python3.13") == data


def test_modules_lose_only_a_distributions_own_interpreter() -> None:
    assert generated.module(b"#! /usr/bin/python3.11\nx\n", "python3.11") == (
        b"#! /usr/bin/env python3\nx\n"
    )
    for data in (b"#! /usr/local/bin/python\nx\n", b"#! /usr/bin/env python3\nx\n", b"x\n"):
        assert generated.module(data, "python3.11") == data
