"""A C extension as an sdist that needs nothing but pip, a compiler and what sysconfig says.

Its build backend lies in the sdist itself, so it builds without network and without setuptools. It
compiles as distutils does: CC, CFLAGS, CCSHARED, LDSHARED and the include folder, each a command
line or a path of the interpreter that runs it.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "kitbagprobe"
SOURCE = r"""
#include <Python.h>

static PyObject *version(PyObject *self, PyObject *args) {
    (void)self; (void)args;
    return PyUnicode_FromString(PY_VERSION);
}

static PyMethodDef methods[] = {{"version", version, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "kitbagprobe", NULL, -1, methods};
PyMODINIT_FUNC PyInit_kitbagprobe(void) { return PyModule_Create(&module); }
"""
COMPILE = r"""
import os, shlex, subprocess, sysconfig

def compile_extension(source, folder):
    get = sysconfig.get_config_var
    target = os.path.join(folder, "kitbagprobe" + get("EXT_SUFFIX"))
    part = os.path.join(folder, "kitbagprobe.o")
    words = [*shlex.split(get("CC")), *shlex.split(get("CFLAGS")), *shlex.split(get("CCSHARED"))]
    subprocess.run([*words, "-I", get("INCLUDEPY"), "-c", source, "-o", part], check=True)
    libraries = ["-L", get("LIBDIR")]
    subprocess.run([*shlex.split(get("LDSHARED")), part, *libraries, "-o", target], check=True)
    os.unlink(part)
    return target
"""
_BACKEND = (
    COMPILE
    + r"""
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    built = compile_extension("kitbagprobe.c", os.getcwd())
    info = "kitbagprobe-1.0.dist-info"
    tag = "py3-none-any"  # made for this interpreter alone; a real tag would tell nothing more
    files = {
        os.path.basename(built): open(built, "rb").read(),
        info + "/METADATA": b"Metadata-Version: 2.1\nName: kitbagprobe\nVersion: 1.0\n",
        info + "/WHEEL": ("Wheel-Version: 1.0\nGenerator: probe\nRoot-Is-Purelib: false\nTag: %s\n"
                          % tag).encode(),
        info + "/entry_points.txt": b"[console_scripts]\nkitbag-probe = kitbagprobe:version\n",
    }
    record = "".join(name + ",,\n" for name in [*files, info + "/RECORD"])
    name = "kitbagprobe-1.0-%s.whl" % tag
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, data in {**files, info + "/RECORD": record.encode()}.items():
            wheel.writestr(path, data)
    return name

def build_sdist(folder, config_settings=None):
    raise NotImplementedError
"""
)
_PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
_SETUP = """
from setuptools import Extension, setup
setup(name="kitbagprobe", version="1.0", ext_modules=[Extension("kitbagprobe", ["kitbagprobe.c"])])
"""


def write_sources(folder: Path) -> Path:
    """Write the C source with a `setup.py` for setuptools, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.c").write_text(SOURCE)
    (folder / "setup.py").write_text(_SETUP)
    return folder


def write_sdist(folder: Path) -> Path:
    """Write the sdist into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}-1.0.tar.gz"
    files = {
        "pyproject.toml": _PYPROJECT,
        "backend.py": _BACKEND,
        f"{NAME}.c": SOURCE,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{NAME}-1.0/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path
