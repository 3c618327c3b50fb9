"""The program that looks at an interpreter from within: it is run by the interpreter itself.

``PYTHON -I -B probes.py SCRATCH NAME...`` tries each named thing in the order given and tells of
it on stdout, a JSON object on each line: ``{"begin": NAME}`` before, ``{"end": NAME, …}`` after. So
whoever listens knows what was being tried when an interpreter crashes or hangs. It holds what is
found out, and no opinion of it.

It may run on any implementation from 3.8 on, so it imports nothing at first and nothing of
kitbag's ever.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def _ssl(scratch: str) -> dict[str, Any]:
    import contextlib
    import ssl

    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    if not outgoing.pending:
        raise RuntimeError("the handshake does not begin")
    return {"note": ssl.OPENSSL_VERSION}


def _ca_certificates(scratch: str) -> dict[str, Any]:
    import ssl

    paths = ssl.get_default_verify_paths()
    context = ssl.create_default_context()
    count = context.cert_store_stats()["x509_ca"]
    # A directory is read certificate by certificate while a handshake goes on.
    folder = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    places = [os.environ.get(paths.openssl_cafile_env) or paths.openssl_cafile, folder]
    if not count and paths.capath:
        count = _certificates_in(paths.capath)
    return {"count": count, "places": [place for place in places if place]}


def _certificates_in(folder: str) -> int:
    """How many of the first files with the name of a hash (c_rehash(1)) hold a certificate."""
    import re
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    names = [name for name in os.listdir(folder) if re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name)]
    for name in sorted(names)[:20]:
        try:
            context.load_verify_locations(os.path.join(folder, name))
        except (OSError, ssl.SSLError):
            continue
    return context.cert_store_stats()["x509_ca"]


def _sqlite3(scratch: str) -> dict[str, Any]:
    import sqlite3

    database = sqlite3.connect(":memory:")
    database.execute("create table t (x integer)")
    database.executemany("insert into t values (?)", [(2,), (40,)])
    _agree(database.execute("select sum(x) from t").fetchone(), (42,))
    database.close()
    return {"note": "SQLite " + sqlite3.sqlite_version}


def _ctypes(scratch: str) -> dict[str, Any]:
    import ctypes

    if sys.platform == "win32":
        library = ctypes.cdll.msvcrt
    else:
        library = ctypes.CDLL(None)
    library.strlen.restype = ctypes.c_size_t
    library.strlen.argtypes = [ctypes.c_char_p]
    _agree(library.strlen(b"kitbag"), 6)
    compare_type = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)
    )
    numbers = (ctypes.c_int * 3)(3, 1, 2)
    library.qsort.restype = None
    library.qsort.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, compare_type]
    compare = compare_type(lambda one, other: one[0] - other[0])
    library.qsort(numbers, 3, ctypes.sizeof(ctypes.c_int), compare)
    _agree(list(numbers), [1, 2, 3])
    return {}


def _packs(name: str) -> Callable[[str], dict[str, Any]]:
    def probe(scratch: str) -> dict[str, Any]:
        import importlib

        module = importlib.import_module(name)
        data = b"kitbag " * 1000
        _agree(module.decompress(module.compress(data)), data)
        return {}

    return probe


def _hashlib(scratch: str) -> dict[str, Any]:
    import hashlib

    missing = []
    for name in sorted(hashlib.algorithms_guaranteed):
        try:
            hashlib.new(name, b"", usedforsecurity=False)
        except TypeError:  # 3.8 does not know the argument
            hashlib.new(name)
        except ValueError:
            missing.append(name)
    _agree(hashlib.sha256(b"abc").hexdigest()[:16], "ba7816bf8f01cfea")
    return {"missing": missing}


def _uuid(scratch: str) -> dict[str, Any]:
    import uuid

    if uuid.uuid4() == uuid.uuid4() or uuid.uuid1() == uuid.uuid1():
        raise RuntimeError("two identifiers are the same")
    return {}


def _readline(scratch: str) -> dict[str, Any]:
    import readline

    backend = "libedit" if "libedit" in (readline.__doc__ or "") else "readline"
    return {"note": getattr(readline, "backend", backend)}


def _terminfo(scratch: str) -> dict[str, Any]:
    import curses

    term = os.environ.get("TERM") or "xterm"
    try:
        curses.setupterm(term, os.open(os.devnull, os.O_RDWR))
    except curses.error as error:
        return {"term": term, "problem": str(error)}
    return {"term": term}


def _curses(scratch: str) -> dict[str, Any]:
    import curses
    import curses.panel

    return {"note": ".".join(map(str, getattr(curses, "ncurses_version", ())[:3]))}


def _dbm(scratch: str) -> dict[str, Any]:
    import importlib

    tried = []
    for name in ("dbm.gnu", "dbm.ndbm", "dbm.sqlite3"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        with module.open(os.path.join(scratch, name), "c") as database:
            database[b"key"] = b"value"
            _agree(bytes(database[b"key"]), b"value")
        tried.append(name)
    return {"note": ", ".join(tried)}


def _tkinter(scratch: str) -> dict[str, Any]:
    import tkinter as tk

    tcl = tk.Tcl()
    _agree(tcl.eval("expr {6 * 7}"), "42")
    library = str(tcl.eval("info library"))
    version = str(tk.TkVersion)
    places = [
        os.environ.get("TK_LIBRARY", ""),
        os.path.join(os.path.dirname(library), "tk" + version),
        os.path.join(sys.base_prefix, "lib", "tk" + version),
        os.path.join(sys.base_prefix, "tcl", "tk" + version),
        "//zipfs:/lib/tk/tk_library",
    ]
    # Tcl itself is asked, since the files may be inside of its library.
    found = [place for place in places if place and _has_file(tcl, place)]
    return {
        "note": "Tcl " + str(tcl.eval("info patchlevel")),
        "found": bool(found),
        "places": places[1:3],
    }


def _has_file(tcl: Any, folder: str) -> bool:
    return str(tcl.call("file", "exists", folder + "/tk.tcl")) == "1"


def _locale(scratch: str) -> dict[str, Any]:
    import locale

    problem = ""
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error as error:
        problem = str(error)
    return {
        "problem": problem,
        "names": [sys.getfilesystemencoding(), locale.getpreferredencoding(False)],
    }


def _time_zones(scratch: str) -> dict[str, Any]:
    try:
        import zoneinfo
    except ModuleNotFoundError:  # 3.8 has none
        return {"found": True}
    try:
        zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        return {"found": False}
    return {"found": True}


def _multiprocessing(scratch: str) -> dict[str, Any]:
    import multiprocessing

    # With another method a helper process would be started that looks after the semaphores.
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("fork" if "fork" in methods else None)
    with context.Semaphore():
        pass
    return {}


def _pip(scratch: str) -> dict[str, Any]:
    import glob
    import importlib
    import importlib.util

    said = importlib.util.find_spec("pip")
    version = problem = ""
    if said is not None:
        try:
            version = importlib.import_module("pip").__version__
        except Exception as error:  # noqa: BLE001  # whatever a damaged pip raises
            problem = _text(error)
    spec = importlib.util.find_spec("ensurepip")
    folder = os.path.dirname((spec and spec.origin) or "")
    wheels = glob.glob(os.path.join(folder, "_bundled", "pip-*.whl")) if folder else []
    return {"version": version, "problem": problem, "wheels": len(wheels)}


def _sysconfig(scratch: str) -> dict[str, Any]:
    import sysconfig

    names = ("BINDIR", "LIBDIR", "INCLUDEPY", "LIBPL")
    values = {name: sysconfig.get_config_var(name) for name in names}
    values["prefix"] = sysconfig.get_config_var("prefix")
    return {"prefix": sys.base_prefix, "values": values}


def _bytecode(scratch: str) -> dict[str, Any]:
    """Sources that are not what an unchecked compiled file was made of; PEP 552."""
    import importlib.util
    import sysconfig

    stale: list[str] = []
    places = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    for compiled in _compiled_files(places):
        try:
            with open(compiled, "rb") as file:
                header = file.read(16)
            if header[:4] != importlib.util.MAGIC_NUMBER or header[4:8] != b"\1\0\0\0":
                continue
            source = importlib.util.source_from_cache(compiled)
            with open(source, "rb") as file:
                data = file.read()
        except (OSError, ValueError):
            continue
        if importlib.util.source_hash(data) != header[8:16]:
            stale.append(os.path.relpath(source, os.path.realpath(sys.base_prefix)))
    return {"stale": sorted(stale)}


def _compiled_files(places: set[str]) -> Iterator[str]:
    tag = "." + (sys.implementation.cache_tag or "")
    for place in places:
        for folder, _, names in os.walk(place):
            if os.path.basename(folder) == "__pycache__":
                for name in names:
                    if name.endswith(".pyc") and tag in name:
                        yield os.path.join(folder, name)


_SOURCE = """
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *arguments) {
    (void)self; (void)arguments;
    return PyLong_FromLong(42);
}

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "kitbagprobe", NULL, -1, methods, NULL, NULL, NULL, NULL
};
PyMODINIT_FUNC PyInit_kitbagprobe(void) { return PyModule_Create(&module); }
"""


def _extension(scratch: str) -> dict[str, Any]:
    """Compile as setuptools does: what sysconfig has are command lines and paths."""
    import importlib.util
    import shlex
    import shutil
    import subprocess
    import sysconfig

    def words(name: str) -> list[str]:
        return shlex.split(sysconfig.get_config_var(name) or "")

    compiler, include = words("CC"), sysconfig.get_path("include")
    # Not where the system would look without PATH: a compiler does not find its own parts then.
    if not compiler or shutil.which(compiler[0], path=os.environ.get("PATH", "")) is None:
        return {"compiler": "", "wanted": compiler[:1]}
    found = {"compiler": compiler[0], "headers": os.path.isfile(os.path.join(include, "Python.h"))}
    if not found["headers"]:
        return {**found, "include": include}
    source, part = os.path.join(scratch, "kitbagprobe.c"), os.path.join(scratch, "kitbagprobe.o")
    module = os.path.join(scratch, "kitbagprobe" + sysconfig.get_config_var("EXT_SUFFIX"))
    with open(source, "w", encoding="ascii") as file:
        file.write(_SOURCE)
    flags = [*words("CFLAGS"), *words("CCSHARED"), "-O0", "-I", include]
    linker = words("LDSHARED") or [*compiler, "-shared"]
    libraries = ["-L", sysconfig.get_config_var("LIBDIR") or scratch]
    for command in (
        [*compiler, *flags, "-c", source, "-o", part],
        [*linker, part, *libraries, "-o", module],
    ):
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            return {**found, "failed": f"{command[0]}: {error.strerror}"}
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()
            return {**found, "failed": _telling(said) or f"status {done.returncode}"}
    spec = importlib.util.spec_from_file_location("kitbagprobe", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    _agree(loaded.answer(), 42)
    return found


def _telling(lines: list[str]) -> str:
    """The line of a compiler that says why; the last ones often only count."""
    reasons = [line for line in lines if "error" in line or "cannot" in line]
    return (reasons or lines or [""])[0].strip()


def _module(name: str) -> Callable[[str], dict[str, Any]]:
    def probe(scratch: str) -> dict[str, Any]:
        import importlib

        importlib.import_module(name)
        return {}

    return probe


PROBES: dict[str, Callable[[str], dict[str, Any]]] = {
    "sysconfig": _sysconfig,
    "bytecode": _bytecode,
    "pip": _pip,
    "extension": _extension,
    "ssl": _ssl,
    "ca-certificates": _ca_certificates,
    "sqlite3": _sqlite3,
    "ctypes": _ctypes,
    "zlib": _packs("zlib"),
    "bz2": _packs("bz2"),
    "lzma": _packs("lzma"),
    "zstd": _packs("compression.zstd"),
    "hashlib": _hashlib,
    "uuid": _uuid,
    "readline": _readline,
    "terminfo": _terminfo,
    "curses": _curses,
    "dbm": _dbm,
    "tkinter": _tkinter,
    "locale": _locale,
    "time-zones": _time_zones,
    "multiprocessing": _multiprocessing,
}


def _agree(found: object, expected: object) -> None:
    if found != expected:
        raise RuntimeError(f"wrong result: {found!r} instead of {expected!r}")


def _text(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (
        text
        if isinstance(error, (ImportError, RuntimeError))
        else f"{type(error).__name__}: {text}"
    )


def main(arguments: list[str]) -> None:
    """Try what ``arguments`` name: the scratch directory, then names of :data:`PROBES`.

    ``module:NAME`` imports a module.
    """
    import json

    # What is tried may write to stdout; that goes nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def tell(**table: Any) -> None:
        answers.write(json.dumps(table) + "\n")
        answers.flush()

    scratch, *names = arguments
    for name in names:
        tell(begin=name)
        kind, _, module = name.partition(":")
        probe = _module(module) if kind == "module" else PROBES[name]
        try:
            tell(end=name, facts=probe(scratch))
        except ImportError as error:
            told = isinstance(error, ModuleNotFoundError)
            tell(end=name, error=_text(error), module=error.name or "", absent=told)
        except BaseException as error:  # noqa: BLE001  # also what damaged modules raise
            tell(end=name, error=_text(error), module="", absent=False)


if __name__ == "__main__":
    main(sys.argv[1:])
