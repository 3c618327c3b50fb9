"""Files with build-time paths for the small made-up builds: short, and in upstream's forms."""

from __future__ import annotations

import json

from . import relocation
from .members import Member, link, program, text
from .wheels import launcher, record_line


def sysconfig_values(version: str, multiarch: str, abi: str = "") -> dict[str, str | int]:
    """Return a few dozen sysconfig values that show every form the prefix takes in real ones."""
    minor = ".".join(version.split(".")[:2])
    name = f"python{minor}{abi}"
    build, library = f"/build/Python-{version}", f"/install/lib/{name.rstrip('d')}"
    values = _unix_values(version, multiarch, abi, build, library)
    return {**values, **_macos_values(build)} if multiarch == "darwin" else values


def _macos_values(build: str) -> dict[str, str | int]:
    """Return what is otherwise on macOS: the SDK of the build machine is in every flag."""
    sdk = "-isysroot /Applications/Xcode_15.2.app/Contents/Developer/SDKs/MacOSX14.2.sdk"
    return {
        "BLDSHARED": f"clang -bundle -undefined dynamic_lookup {sdk} ",
        "CC": "clang",
        "CFLAGS": f"-fno-strict-overflow {sdk} -fPIC -I/install/include",
        "LDFLAGS": f"{sdk} -L/install/lib",
        "LDSHARED": "clang -bundle -undefined dynamic_lookup",
        "RUNSHARED": f"DYLD_LIBRARY_PATH=/private/var/folders/xx/T{build}",
    }


def _unix_values(
    version: str, multiarch: str, abi: str, build: str, library: str
) -> dict[str, str | int]:
    minor = ".".join(version.split(".")[:2])
    name = f"python{minor}{abi}"
    return {
        "ABIFLAGS": abi,
        "AR": "/tools/llvm/bin/llvm-ar",
        "BINDIR": "/install/bin",
        "BINLIBDEST": library,
        "BLDSHARED": "clang -pthread -shared -Wl,-z,noexecstack  -Wl,--exclude-libs,ALL ",
        "BOOTSTRAP_HEADERS": "\\",
        "CC": "clang -pthread",
        "CFLAGS": "-fno-strict-overflow -DNDEBUG -O3 -I/install/include ",
        "CONFIG_ARGS": relocation.config_args("x86_64-unknown-linux-gnu"),
        "CXX": "clang++ -pthread",
        "DESTDIRS": f"/install /install/lib {library} {library}/lib-dynload",
        "EXENAME": f"/install/bin/{name}",
        "EXT_SUFFIX": f".cpython-{minor.replace('.', '')}{abi}-{multiarch}.so",
        "INCLUDEPY": f"/install/include/{name}",
        "INSTALL": "/usr/bin/install -c",
        "LDSHARED": "clang -pthread -shared -Wl,-z,noexecstack  -Wl,--exclude-libs,ALL ",
        "LDFLAGS": "-L/install/lib -Wl,-rpath,/install/lib",
        "LIBDIR": "/install/lib",
        "LIBPL": f"{library}/config-{minor}{abi}-{multiarch}",
        "LIBPYTHON": "",
        "LINKCC": "clang -pthread",
        "MULTIARCH": multiarch,
        "PYTHON_FOR_FREEZE": f"/tools/host/bin/python{minor}",
        "PY_CFLAGS_NODIST": f"-fprofile-instr-use={build}/code.profclangd",
        "Py_DEBUG": int("d" in abi),
        "Py_GIL_DISABLED": int("t" in abi),
        "RUNSHARED": f"LD_LIBRARY_PATH={build}",
        "SIZEOF_VOID_P": 8,
        "STRICT_SYSV_CURSES": "/* Don't use ncurses extensions */",
        "TZPATH": "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo",
        "VERSION": minor,
        "WASM_ASSETS_DIR": "./install",
        "abs_builddir": build,
        "abs_srcdir": build,
        "datarootdir": "/install/share",
        "exec_prefix": "/install",
        "prefix": "/install",
        "srcdir": ".",
    }


_MAKEFILE = """\
# Generated automatically from Makefile.pre by makesetup.
VERSION=\t@minor@
srcdir=\t\t.
abs_srcdir=\t@build@
abs_builddir=\t@build@
CC=\t\tclang -pthread
CXX=\t\tclang++ -pthread
AR=\t\t/tools/llvm/bin/llvm-ar
INSTALL=\t/usr/bin/install -c
prefix=\t\t/install
exec_prefix=\t${prefix}
LIBDIR=\t\t$(exec_prefix)/lib
LDFLAGS=\t-L/install/lib -Wl,-rpath,/install/lib
RUNSHARED=       LD_LIBRARY_PATH=@build@
CONFIG_ARGS=\t@arguments@
install: altinstall
\t$(INSTALL) -d $(DESTDIR)$(prefix) $(srcdir)/install-sh
"""

_CONFIG = """\
#!/bin/sh
# Print flags for extensions and embedders.
installed_prefix ()
{
    RESULT=$(dirname $(cd $(dirname "$1") && pwd -P))
    echo $RESULT
}
prefix_build="/install"
prefix_real=$(installed_prefix "$0")
prefix="/install"
exec_prefix="${prefix}"
includedir=$(echo "${prefix}/include" | sed "s#$prefix#$prefix_real#")
echo "-I$includedir/@name@"
"""


def json_files(version: str, multiarch: str, abi: str, platform: str) -> list[Member]:
    """Return the two JSON files that come with 3.14: one relative, one with every build path."""
    minor = ".".join(version.split(".")[:2])
    name = f"python{minor}{abi}"
    library = f"lib/{name.rstrip('d')}"
    values = sysconfig_values(version, multiarch, abi)
    major, second, micro = (int(part) for part in version.split("."))
    details = {
        "schema_version": "1.0",
        "base_prefix": "../..",
        "base_interpreter": f"../../bin/{name}",
        "platform": f"{platform}-{multiarch.partition('-')[0]}",
        "language": {
            "version": minor,
            "version_info": {"major": major, "minor": second, "micro": micro},
        },
        "implementation": {"name": "cpython", "cache_tag": f"cpython-{major}{second}"},
        "libpython": {"dynamic": f"../../lib/lib{name}.so.1.0", "link_extensions": False},
        "c_api": {"headers": f"../../include/{name}", "pkgconfig_path": "../../lib/pkgconfig"},
    }  # fmt: skip
    variables = f"_sysconfig_vars_{abi}_{platform}_{multiarch}.json"
    return [
        text(f"{library}/build-details.json", json.dumps(details, indent=2) + "\n"),
        text(f"{library}/{variables}", json.dumps(values, indent=2, sort_keys=True)),
    ]


def generated_files(
    version: str, multiarch: str, abi: str = "", platform: str = "linux"
) -> list[Member]:
    """Return the files of a Unix build that hold build-time paths.

    `abi` is "", "t", "d" or "td"; `multiarch` such as `x86_64-linux-gnu`, on macOS `darwin`.
    """
    minor = ".".join(version.split(".")[:2])
    name = f"python{minor}{abi}"
    library = f"lib/{name.rstrip('d')}"
    config = f"{library}/config-{minor}{abi}-{multiarch}"
    values = sysconfig_values(version, multiarch, abi)
    makefile = _MAKEFILE
    for key, value in {
        "minor": minor,
        "build": f"/build/Python-{version}",
        "arguments": str(values["CONFIG_ARGS"]),
    }.items():
        makefile = makefile.replace(f"@{key}@", value)
    pc = (
        "# See: man pkg-config\nprefix=${pcfiledir}/../..\nexec_prefix=${prefix}\n"
        "libdir=${exec_prefix}/lib\nincludedir=${prefix}/include\n\nName: Python\n"
        f"Description: Build a C extension for Python\nVersion: {minor}\n"
        f"Libs.private: -ldl \nLibs: -L${{libdir}} \nCflags: -I${{includedir}}/{name}\n"
    )
    relative = "# -*- python -*-\nimport sysconfig\n\nprint(sysconfig.get_config_var('prefix'))\n"
    members = [
        text(
            f"{library}/_sysconfigdata_{abi}_{platform}_{multiarch}.py",
            relocation.sysconfig_module(values),
        ),
        text(f"{config}/Makefile", makefile),
        program(f"{config}/python-config.py", (relocation.trampoline(name) + relative).encode()),
        text(f"lib/pkgconfig/python-{minor}{abi}.pc", pc),
        program(f"bin/{name}-config", _CONFIG.replace("@name@", name).encode()),
        link("bin/python3-config", f"{name}-config"),
    ]
    if tuple(int(part) for part in minor.split(".")) >= (3, 14):
        members += json_files(version, multiarch, abi, platform)
    return members


def small_pip(version: str, executable: str) -> list[Member]:
    """Return a pip of two files with its metadata, its script and the stale hash of that."""
    minor = ".".join(version.split(".")[:2])
    site = f"lib/{executable.rstrip('d')}/site-packages"
    before = launcher("pip._internal.cli.main", "main", executable)
    files = {
        "pip/__init__.py": b'__version__ = "26.2.1"\n',
        "pip-26.2.1.dist-info/INSTALLER": b"pip\n",
    }
    lines = [record_line(f"../../../bin/pip{minor}", before.encode())]
    lines += [record_line(path, data) for path, data in files.items()]
    record = "pip-26.2.1.dist-info/RECORD"
    lines.append(f"{record},,\n")
    return [
        *(Member(f"{site}/{path}", data) for path, data in files.items()),
        text(f"{site}/{record}", "".join(sorted(lines))),
        program(f"bin/pip{minor}", relocation.with_trampoline(before, executable).encode()),
    ]
