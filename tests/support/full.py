"""What a full archive has beside the installed tree: PYTHON.json, objects, licences, a library."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from .members import Member, below, link, program, text

if TYPE_CHECKING:
    from .interpreters import Interpreter

TEST_PACKAGES = frozenset(
    {
        *("bsddb/test", "ctypes/test", "distutils/tests", "email/test", "idlelib/idle_test"),
        *("json/tests", "lib-tk/test", "lib2to3/tests", "sqlite3/test", "test", "tkinter/test"),
        "unittest/test",
    }
)


def full_members(interpreter: Interpreter, installed: list[Member]) -> list[Member]:
    """Return a full archive's members: the tree below `install`, and what comes beside it."""
    config = next(interpreter.stdlib.glob("config-*/python.o"), None)
    compiled = config.read_bytes() if config else b"\x7fELF"
    objects = [
        Member(f"build/{folder}/{name}.o", compiled)
        for folder, names in {
            "Modules": "_abc _bisectmodule arraymodule main mathmodule posixmodule",
            "Objects": "abstract bytesobject dictobject longobject unicodeobject",
            "Parser": "action_helpers parser pegen token",
            "Python": "ast ceval compile import initconfig pylifecycle sysmodule",
        }.items()
        for name in names.split()
    ]
    static = f"lib/lib{interpreter.executable_name}.a"
    size = f"{len(compiled):<10}"
    archive = b"!<arch>\n" + f"{'python.o/':<16}{0:<12}{0:<6}{0:<6}{'100664':<8}{size}`\n".encode()
    installed = [
        *installed,
        Member(static, archive + compiled + b"\n" * (len(compiled) % 2)),
    ]
    for member in installed:
        if re.search(r"/config-[^/]*/Makefile$", member.path):
            folder = member.path.rpartition("/")[0]
            installed = [
                *installed,
                link(f"{folder}/lib{interpreter.executable_name}.a", f"../../../{static}"),
            ]
            break
    licences = {
        "bzip2": "bzip2-1.0.6", "cpython": "Python-2.0", "libffi": "MIT", "ncurses": "X11",
        "openssl-3": "Apache-2.0", "sqlite": "blessing", "zlib": "Zlib",
    }  # fmt: skip
    texts = [
        text(f"licenses/LICENSE.{name}.txt", f"Stand-in for the {spdx} licence of {name}.\n" * 40)
        for name, spdx in licences.items()
    ]
    members = [
        *below("install", installed),
        *objects,
        *texts,
        Member("build/lib/libsqlite3.a", archive + compiled),
        program("build/run_tests.py", b"#!/usr/bin/env python3\nraise SystemExit(0)\n"),
    ]
    description = python_json(interpreter, installed, sorted(set(licences.values())))
    return [text("PYTHON.json", json.dumps(description, indent=4, sort_keys=True)), *members]


def python_json(
    interpreter: Interpreter, installed: list[Member], licences: list[str]
) -> dict[str, object]:
    """Return the description in front of a full archive, format 8."""
    name, library = interpreter.executable_name, f"install/lib/{interpreter.library_name}"
    triple = interpreter.triple
    tag = f"cp{interpreter.version[0]}{interpreter.version[1]}"
    data = next(m for m in installed if "/_sysconfigdata_" in m.path)
    scope: dict[str, dict[str, object]] = {}
    exec(compile(data.data, data.path, "exec"), scope)
    values = {key: str(value) for key, value in scope["build_time_vars"].items()}
    paths = {
        "stdlib": library, "platstdlib": library, "purelib": f"{library}/site-packages",
        "platlib": f"{library}/site-packages", "scripts": "install/bin", "data": "install",
        "include": f"install/include/{interpreter.library_name}",
    }  # fmt: skip
    extension = values.get("EXT_SUFFIX", ".so")
    return {
        "version": "8",
        "target_triple": triple,
        "optimizations": "debug" if interpreter.debug else "pgo+lto",
        "build_options": "+".join(
            [*(["freethreaded"] if interpreter.free_threaded else []), "pgo", "lto"]
        ),
        "python_tag": tag,
        "python_abi_tag": f"{tag}{'t' if interpreter.free_threaded else ''}",
        "python_platform_tag": f"linux-{interpreter.machine}",
        "python_implementation_name": "cpython",
        "python_implementation_cache_tag": f"cpython-{tag[2:]}",
        "python_implementation_hex_version": 0,
        "python_version": interpreter.full_version,
        "python_major_minor_version": interpreter.minor,
        "python_exe": f"install/bin/{name}",
        "python_include": paths["include"],
        "python_stdlib": library,
        "python_paths": paths,
        "python_paths_abstract": {
            key: path.replace("install", "{installed_base}", 1) for key, path in paths.items()
        },
        "python_config_vars": values,
        "python_stdlib_platform_config": next(
            f"install/{m.path.rpartition('/')[0]}" for m in installed if m.path[-9:] == "/Makefile"
        ),
        "python_stdlib_test_packages": sorted(p.replace("/", ".") for p in TEST_PACKAGES),
        "python_suffixes": {
            "bytecode": [".pyc"], "debug_bytecode": [".pyc"], "optimized_bytecode": [".pyc"],
            "extension": [extension, ".abi3.so", ".so"], "source": [".py"],
        },
        "python_bytecode_magic_number": "f30d0d0a",
        "python_symbol_visibility": "global-default",
        "python_extension_module_loading": ["builtin", "shared-library"],
        "libpython_link_mode": "shared",
        "crt_features": ["glibc-dynamic", "glibc-max-symbol-version:2.17"],
        "run_tests": "build/run_tests.py",
        "licenses": licences,
        "license_path": "licenses/LICENSE.cpython.txt",
        "tcl_library_path": "install/lib",
        "tcl_library_paths": ["itcl4.3.8", "tcl9", "tcl9.0", "thread3.0.6", "tk9.0"],
        "build_info": {
            "core": {
                "objs": [f"build/Python/{n}.o" for n in ("ast", "ceval", "compile")],
                "links": [{"name": "m", "system": True}, {"name": "dl", "system": True}],
                "shared_lib": f"install/lib/lib{name}.so.1.0",
                "static_lib": f"install/lib/lib{name}.a",
            },
            "extensions": {
                module: [{
                    "in_core": True, "init_fn": f"PyInit_{module}", "links": [],
                    "licenses": [spdx], "license_paths": [f"licenses/LICENSE.{part}.txt"],
                    "license_public_domain": False, "objs": [], "required": False,
                    "static_lib": None, "shared_lib": None, "variant": "default",
                }]
                for module, part, spdx in (
                    ("_bz2", "bzip2", "bzip2-1.0.6"), ("_ctypes", "libffi", "MIT"),
                    ("_ssl", "openssl-3", "Apache-2.0"), ("zlib", "zlib", "Zlib"),
                )
            },
            "inittab_object": "build/Modules/config.o",
            "inittab_source": "build/Modules/config.c",
            "inittab_cflags": ["-std=c11"],
            "object_file_format": "elf",
        },
    }  # fmt: skip
