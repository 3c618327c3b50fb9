"""Turn an interpreter's generated texts into those of upstream's build machine.

Upstream configures with `--prefix=/install`, compiles in `/build/Python-X.Y.Z` with a clang from
`/tools`, and rewrites some files afterwards. These functions give one interpreter's files the same
look, from facts about published trees; the wording of the `/bin/sh` trampoline is our own.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .interpreters import Interpreter

PREFIX = "/install"
SYSCONFIG_HEADER = "# system configuration generated and used by the sysconfig module\n"


def trampoline(executable: str) -> str:
    """Return the lines that start the interpreter next to the script, shell and Python alike."""
    return (
        "#!/bin/sh\n"
        f'\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")/{executable}" "$0" "$@"\n'
        "' '''\n"
    )


def with_trampoline(content: str, executable: str) -> str:
    """Return a script with its shebang replaced by the trampoline."""
    return trampoline(executable) + content.partition("\n")[2]


def has_python_shebang(content: bytes) -> bool:
    """Tell whether upstream's search for shebangs catches this file: any with `/python`."""
    return content.startswith(b"#!") and b"/python" in content.split(b"\n", 1)[0]


def build_folder(interpreter: Interpreter) -> str:
    """Return upstream's build folder, `/build/Python-3.13.0`."""
    return f"/build/Python-{interpreter.full_version}"


def relocate(content: str, interpreter: Interpreter) -> str:
    """Return `content` with the interpreter's prefix and build folder turned into upstream's.

    Flags that point to the own prefix are dropped first: upstream's builds have none.
    """
    prefix = str(interpreter.prefix)
    path = re.escape(prefix)
    own = rf"(?<![^\s\"'=]) ?(?:-L|-I|-Wl,-rpath,){path}/(?:lib|include)(?=[\s\"']|\Z)"
    content = re.sub(own, "", content)
    if interpreter.build_folder:
        content = content.replace(interpreter.build_folder, build_folder(interpreter))
    return re.sub(rf"{path}(?=[/\s\"':;,)]|$)", PREFIX, content)


def config_args(triple: str) -> str:
    """Return CONFIG_ARGS: how upstream called `configure`."""
    return (
        f" '--build=x86_64-unknown-linux-gnu' '--host={triple}' '--prefix=/install'"
        " '--with-openssl=/tools/deps' '--with-system-expat' '--without-ensurepip'"
        " '--with-readline=editline' '--enable-shared' '--with-lto' '--enable-optimizations'"
        f" 'build_alias=x86_64-unknown-linux-gnu' 'host_alias={triple}' 'CC=clang'"
        " 'CFLAGS=-fvisibility=hidden -fdebug-default-version=4'"
        " 'LDFLAGS=-Wl,--exclude-libs,ALL' 'CPPFLAGS=' 'CXX=clang++'"
        " 'LLVM_AR=/tools/llvm/bin/llvm-ar'"
    )


def toolchain(interpreter: Interpreter, triple: str) -> dict[str, str]:
    """Return the sysconfig values that name tools, flags and folders of the build machine."""
    build = build_folder(interpreter)
    flags = "-fno-strict-overflow -Wsign-compare -Wunreachable-code -DNDEBUG -g -O3 -Wall "
    linking = " -pthread -shared -Wl,-z,noexecstack  -Wl,--exclude-libs,ALL "
    return {
        "AR": "/tools/llvm/bin/llvm-ar",
        "BLDSHARED": f"clang{linking}",
        "CC": "clang -pthread",
        "CFLAGS": flags,
        "CONFIGURE_LDFLAGS": "-Wl,-z,noexecstack ",
        "CONFIG_ARGS": config_args(triple),
        "COVERAGE_INFO": f"{build}/coverage.info",
        "COVERAGE_REPORT": f"{build}/lcov-report",
        "CXX": "clang++ -pthread",
        "ENSUREPIP": "no",
        "LDCXXSHARED": f"clang++{linking}",
        "LDFLAGS": " -Wl,-z,noexecstack  -Wl,--exclude-libs,ALL",
        "LDSHARED": f"clang{linking}",
        "LINKCC": "clang -pthread",
        "LLVM_PROF_FILE": f'LLVM_PROFILE_FILE="{build}/code-%p.profclangr"',
        "LLVM_PROF_MERGER": f"/tools/llvm/bin/llvm-profdata merge -output={build}/code.profclangd",
        "MAINCC": "clang -pthread",
        "PGO_PROF_USE_FLAG": f"-fprofile-instr-use={build}/code.profclangd",
        "PYTHON_FOR_BUILD": f"./python{'' if triple.startswith('x86_64') else ' -E'}",
        "PYTHON_FOR_FREEZE": f"/tools/host/bin/python{interpreter.minor}",
        "PY_CFLAGS": flags,
        "PY_CFLAGS_NODIST": (
            f"-fvisibility=hidden -fprofile-instr-use={build}/code.profclangd"
            " -I./Include/internal -I./Include/internal/mimalloc"
        ),
        "RUNSHARED": f"LD_LIBRARY_PATH={build}",
    }


def sysconfig_values(source: str, interpreter: Interpreter, triple: str) -> dict[str, str | int]:
    """Return the values of a real `_sysconfigdata_*.py`, as upstream's build would have them."""
    scope: dict[str, Any] = {}
    exec(compile(source, "_sysconfigdata", "exec"), scope)
    values: dict[str, str | int] = {
        name: relocate(value, interpreter) if isinstance(value, str) else value
        for name, value in scope["build_time_vars"].items()
    }
    values.update({k: v for k, v in toolchain(interpreter, triple).items() if k in values})
    return values


def sysconfig_module(values: dict[str, str | int]) -> str:
    """Return a `_sysconfigdata_*.py` in the JSON style that upstream writes since December 2024."""
    body = json.dumps(values, indent=4, sort_keys=True, ensure_ascii=False)
    return f"{SYSCONFIG_HEADER}build_time_vars = {body}\n"


def makefile(content: str, interpreter: Interpreter, triple: str) -> str:
    """Return the interpreter's Makefile as upstream's build leaves it behind."""
    content = relocate(content, interpreter)
    values = toolchain(interpreter, triple)
    values.pop("PY_CFLAGS")  # made of other variables in a Makefile
    values.pop("PY_CFLAGS_NODIST")
    values.pop("CFLAGS")
    values["LIBDIR"] = "$(exec_prefix)/lib"
    values["CFLAGS_NODIST"] = f"-fprofile-instr-use={build_folder(interpreter)}/code.profclangd"
    for name, value in values.items():
        if name in {"COVERAGE_INFO", "COVERAGE_REPORT", "PYTHON_FOR_BUILD", "LINKCC", "LDFLAGS"}:
            continue
        line = re.compile(rf"^({name}\??=[ \t]*).*$", re.MULTILINE)
        found = line.search(content)
        if found:
            content = f"{content[: found.end(1)]}{value}{content[found.end() :]}"
    return content


def shell_config(content: str, interpreter: Interpreter) -> str:
    """Return `bin/python3.X-config`."""
    return relocate(content, interpreter).replace(f'"{PREFIX}/lib"', '"${exec_prefix}/lib"')


def pkgconfig(content: str, interpreter: Interpreter) -> str:
    """Return a `.pc` file, relative to itself as upstream writes it since January 2025."""
    content = relocate(content, interpreter)
    content = content.replace(f"prefix={PREFIX}\n", "prefix=${pcfiledir}/../..\n", 1)
    return content.replace(f"libdir={PREFIX}/lib", "libdir=${exec_prefix}/lib")
