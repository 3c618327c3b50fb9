"""Real generated texts of this machine's interpreters, turned into upstream's shape.

Prefix and build directory become ``/install`` and ``/build/Python-X.Y.Z`` value by value; the
embedded flags that point to the own prefix stay, because they are what rewriting must find. The
compilers and folders of upstream's build machine are put in on top.
"""

from __future__ import annotations

import functools
import json
import pprint
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.keys import BuildKey
from support.interpreters import Interpreter, find_interpreters

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "# system configuration generated and used by the sysconfig module\n"
TRAMPOLINE = (
    '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")/{}" "$0" "$@"\n\' \'\'\'\n'
)
OLD_TRAMPOLINE = '#!/bin/sh\n"exec" "$(dirname $0)/{}" "$0" "$@"\n'

PLAIN_HOMES = ("/opt/py/cpython-3.13.0-linux-x86_64-gnu", "/install/py", "/build/x", "/home/ü/py")
ODD_HOMES = (
    "/o p/my python",
    '/it\'s/a "home"',
    "/cash$HOME/$(x)/a`b",
    "/a#b&c;d/(e)",
    "/back\\slash/x",
    "/Ångström größe/日本 語",
)


class Texts(NamedTuple):
    """The generated files of one interpreter, upstream's way."""

    interpreter: Interpreter
    values: dict[str, str | int]
    files: dict[str, str]  # path in the build -> text

    @property
    def key(self) -> BuildKey:
        return BuildKey.parse(f"cpython-{self.interpreter.full_version}-linux-x86_64-gnu")

    @property
    def library(self) -> str:
        return f"lib/python{self.interpreter.minor}"

    def one(self, ending: str) -> str:
        """The text of the one file whose path ends so."""
        (text,) = (text for path, text in self.files.items() if path.endswith(ending))
        return text

    @property
    def sysconfigdata(self) -> str:
        return json_style(self.values)

    @property
    def bytes(self) -> dict[str, bytes]:
        return {path: text.encode() for path, text in self.files.items()}


def build_directory(interpreter: Interpreter) -> str:
    return f"/build/Python-{interpreter.full_version}"


def relocated(text: str, interpreter: Interpreter) -> str:
    """`text` with the interpreter's prefix and build directory replaced by upstream's."""
    if interpreter.build_folder:
        text = text.replace(interpreter.build_folder, build_directory(interpreter))
    return re.sub(rf"{re.escape(str(interpreter.prefix))}(?![\w.-])", "/install", text)


def toolchain(interpreter: Interpreter) -> dict[str, str]:
    """Values of upstream's build machine, as published trees have them."""
    build, minor = build_directory(interpreter), interpreter.minor
    deps = "-I/tools/deps/include -I/tools/deps/include/ncursesw"
    flags = f"-fno-strict-overflow -DNDEBUG  -O3 {deps} -fdebug-default-version=4 "
    return {
        "AR": "/tools/llvm/bin/llvm-ar",
        "CC": "clang -pthread",
        "CFLAGS": flags,
        "CPP": "clang -E",
        "CXX": "clang++ -pthread",
        "LDSHARED": "clang -pthread -shared  -Wl,--exclude-libs,ALL -L/tools/deps/lib",
        "BLDSHARED": "clang -pthread -shared  -Wl,--exclude-libs,ALL -LModules/_hacl",
        "LDCXXSHARED": "clang++ -pthread -shared -isysroot /Applications/Xcode_15.2.app/X.sdk",
        "LINKCC": "clang -pthread -fno-pie",
        "MAINCC": "clang -pthread",
        "RANLIB": "/tools/llvm/bin/llvm-ranlib",
        "NM": "/usr/bin/aarch64-linux-gnu-nm",
        "READELF": "llvm-readelf",
        "CONFIGURE_CFLAGS": f" {deps} -fPIC ",
        "CONFIGURE_LDFLAGS": " -Wl,-rpath,/install/lib -L/install/lib -L/tools/deps/lib",
        "CONFIGURE_CPPFLAGS": "-I/install/include -isystem /tools/deps/include",
        "CONFIG_ARGS": (
            "'--build=x86_64-unknown-linux-gnu' '--prefix=/install' '--with-openssl=/tools/deps'"
            f" '--enable-shared' '--with-build-python=/tools/host/bin/python{minor}'"
            " 'PKG_CONFIG_PATH=/tools/deps/share/pkgconfig:/tools/deps/lib/pkgconfig' 'CC=clang'"
            f" 'CFLAGS=  {deps} -fPIC  ' 'LDFLAGS=-L/install/lib -Wl,-rpath,/install/lib'"
            " 'CPPFLAGS=-fPIC -isysroot /X/MacOSX14.2.sdk' 'LLVM_AR=/tools/llvm/bin/llvm-ar'"
        ),
        "LLVM_PROF_FILE": f'LLVM_PROFILE_FILE="{build}/code-%p.profclangr"',
        "LLVM_PROF_MERGER": f"/tools/llvm/bin/llvm-profdata merge -output={build}/code.profclangd",
        "PGO_PROF_USE_FLAG": f"-fprofile-instr-use={build}/code.profclangd",
        "PY_CFLAGS_NODIST": f"-flto=thin -fprofile-instr-use={build}/code.profclangd -I./Include",
        "PYTHON_FOR_FREEZE": f"/tools/host/bin/python{minor}",
        "PYTHON_FOR_BUILD": (
            f"_PYTHON_PROJECT_BASE={build} _PYTHON_HOST_PLATFORM="
            f" PYTHONPATH=$(shell test -f pybuilddir && echo {build}/`cat pybuilddir`:)./Lib"
            f" /tools/host/bin/python{minor}"
        ),
        "RUNSHARED": f"LD_LIBRARY_PATH={build}",
        "WASM_ASSETS_DIR": "./install",
        "X_LIST": "/usr/lib:/install/lib:/tools/deps/lib",
        "X_TMP": "-L/var/folders/0w/4z5/T/tmpb/tools/deps/lib -ldl",
    }


def json_style(values: dict[str, Any]) -> str:
    """The form that upstream writes since December 2024."""
    body = json.dumps(values, indent=4, sort_keys=True, ensure_ascii=False)
    return f"{HEADER}build_time_vars = {body}\n"


def stock_style(values: dict[str, Any]) -> str:
    """CPython's own form up to 3.12: `pprint`, with adjacent literals."""
    return f"{HEADER}build_time_vars = {pprint.pformat(values)}\n"


def json_variables(values: dict[str, Any], minor: str) -> str:
    """3.14's `_sysconfig_vars__*.json`, which `sysconfig` writes with `json.dump`."""
    more = {
        "installed_base": "/install",
        "projectbase": "/install/bin",
        "srcdir": f"/install/lib/python{minor}/config-{minor}-x86_64-linux-gnu",
        "userbase": "/home/build/.local",
        "host_prefix": "/install",
        "abi_thread": "",
        "nothing": None,
    }
    return json.dumps({**values, **more}, indent=2)


def _values(interpreter: Interpreter, path: Path) -> dict[str, str | int]:
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    values: dict[str, str | int] = {
        name: relocated(value, interpreter) if isinstance(value, str) else value
        for name, value in scope["build_time_vars"].items()
    }
    return {**values, **toolchain(interpreter)}


def _makefile(text: str, interpreter: Interpreter) -> str:
    for name, value in toolchain(interpreter).items():
        if name in {"CFLAGS", "LINKCC", "MAINCC", "WASM_ASSETS_DIR", "PYTHON_FOR_BUILD"}:
            continue
        line = f"{name}=\t{value}"
        pattern = rf"^{name}[ \t]*=.*$"
        text, count = re.subn(pattern, lambda _, line=line: line, text, flags=re.MULTILINE)
        if not count:
            text = text.replace("\nprefix=", f"\n{line}\nprefix=", 1)
    return text.replace("$(srcdir)/install-sh", "$(srcdir)/install-sh /install/recipe")


def build_details(minor: str) -> str:
    """3.14's `build-details.json`, as pre-releases had it."""
    return json.dumps(
        {
            "schema_version": "1.0",
            "base_prefix": "/install",
            "base_interpreter": f"/install/bin/python{minor}",
            "libpython": {"dynamic": f"/install/lib/libpython{minor}.so.1.0"},
            "c_api": {"headers": f"/install/include/python{minor}", "pkgconfig_path": "lib/x"},
        },
        indent=2,
    )


def pip_script(interpreter: Interpreter) -> str:
    return (
        f"#!/install/bin/python{interpreter.minor}\n# -*- coding: utf-8 -*-\n"
        "import sys\nprint(sys.executable, sys.argv[1:])\n"
    )


@functools.cache
def all_texts() -> tuple[Texts, ...]:
    """One set per minor version from 3.8 on for which this machine has an interpreter."""
    found: dict[str, Texts] = {}
    for interpreter in find_interpreters():
        data = next(iter(interpreter.stdlib.glob("_sysconfigdata_*.py")), None)
        config = next(iter(interpreter.stdlib.glob("config-*/Makefile")), None)
        if interpreter.minor in found or interpreter.unsuitable or not data or not config:
            continue
        minor, library = interpreter.minor, f"lib/{interpreter.library_name}"
        folder = f"{library}/{config.parent.name}"

        def read(path: Path, one: Interpreter = interpreter) -> str:
            return relocated(path.read_text(), one)

        values = _values(interpreter, data)
        python_config = config.with_name("python-config.py").read_text()
        own = TRAMPOLINE.format(f"python{minor}")
        files = {
            f"{library}/{data.name}": json_style(values),
            f"{folder}/Makefile": _makefile(read(config), interpreter),
            f"{folder}/python-config.py": own + python_config.partition("\n")[2],
            f"bin/python{minor}-config": read(interpreter.path.with_name(f"python{minor}-config")),
            f"bin/pip{minor}": pip_script(interpreter),
            f"bin/pydoc{minor}": own + "import pydoc\n",
            f"bin/idle{minor}": OLD_TRAMPOLINE.format(f"python{minor}") + "import idlelib\n",
            f"{library}/_sysconfig_vars__linux_x86_64-linux-gnu.json": json_variables(
                values, minor
            ),
            f"{library}/build-details.json": build_details(minor),
            f"{library}/site-packages/pip-1.dist-info/RECORD": (
                f"../../../bin/pip{minor},sha256=stale,1\r\npip/__init__.py,sha256=abc,7\r\n"
            ),
        }
        for pc in sorted((interpreter.prefix / "lib/pkgconfig").glob("python-3*.pc")):
            files[f"lib/pkgconfig/{pc.name}"] = read(pc)
        if (interpreter.stdlib / "cgi.py").is_file():
            files[f"{library}/cgi.py"] = (interpreter.stdlib / "cgi.py").read_text()
        found[minor] = Texts(interpreter, values, files)
    return tuple(found.values())
