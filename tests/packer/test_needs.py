import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_packer.binaries import Binary
from kitbag_packer.needs import needs_of

LINUX = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
MACOS = BuildKey.parse("cpython-3.13.5-macos-aarch64-none")
WINDOWS = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
DYNLOAD = "lib/python3.13/lib-dynload"


def elf(*needed: str, name: str = "", glibc: tuple[int, ...] = (2, 17), loader: str = "") -> Binary:
    return Binary("linux", "x86_64", "gnu", loader, name, needed, glibc)


def program(*needed: str) -> Binary:
    return elf(*needed, loader="/lib64/ld-linux-x86-64.so.2")


def needs(key, executable, binaries, aliases=None):
    found = needs_of(key, executable, {path: (each,) for path, each in binaries.items()}, aliases)
    return found.needs, dict(found.optional_libraries)


def test_the_c_library_is_never_told_and_its_neighbours_are():
    libc = "libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 libutil.so.1 librt.so.1 libresolv.so.2"
    told = "libatomic.so.1", "libcrypt.so.1", "libgcc_s.so.1", "libnsl.so.1"
    found, optional = needs(
        LINUX,
        "bin/python3.13",
        {"bin/python3.13": program(*libc.split(), "ld-linux-x86-64.so.2", *reversed(told))},
    )
    assert found.libraries == told
    assert optional == {}
    assert (found.interpreter, found.glibc) == ("/lib64/ld-linux-x86-64.so.2", "2.17")
    assert (found.cpu, found.os) == ("x86-64", "")


@pytest.mark.parametrize("library", ["libc.so", "libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1"])
def test_musl_is_a_c_library_too(library):
    key = BuildKey.parse("cpython-3.13.5-linux-x86_64_v3-musl")
    found, _ = needs(key, "bin/python3.13", {"bin/python3.13": program(library)})
    assert found.libraries == ()
    assert found.cpu == "x86-64-v3"


def test_what_a_module_would_like_is_told_apart():
    found, optional = needs(
        LINUX,
        "bin/python3.13",
        {
            "bin/python3.13": program("$ORIGIN/../lib/libpython3.13.so.1.0", "libc.so.6"),
            "lib/libpython3.13.so.1.0": elf("libintl.so.8", name="libpython3.13.so.1.0"),
            f"{DYNLOAD}/zlib.cpython-313-x86_64-linux-gnu.so": elf("libz.so.1"),
            f"{DYNLOAD}/_tkinter.cpython-313.so": elf("libX11.so.6", "libtk9.0.so", "libz.so.1"),
            f"{DYNLOAD}/_curses.cpython-313.so": elf("libtinfo.so.6", glibc=(2, 34)),
            "lib/libtk9.0.so": elf("libXft.so.2", "libX11.so.6", name="libtk9.0.so"),
        },
    )
    assert found.libraries == ("libintl.so.8", "libz.so.1")
    assert optional == {
        "libX11.so.6": ("lib/libtk9.0.so", f"{DYNLOAD}/_tkinter.cpython-313.so"),
        "libXft.so.2": ("lib/libtk9.0.so",),
        "libtinfo.so.6": (f"{DYNLOAD}/_curses.cpython-313.so",),
    }
    assert found.glibc == "2.34"


def test_a_library_of_the_tree_counts_under_every_name_it_has():
    binaries = {
        "bin/python3.13": program("liba.so.1", "libb.so.2", "libc-link.so"),
        "lib/liba.so.1": elf(),
        "lib/libb.so.2.3.4": elf("libdeep.so.9", name="libb.so.2"),
        "lib/c.so": elf(),
    }
    found, _ = needs(LINUX, "bin/python3.13", binaries, {"lib/libc-link.so": "lib/c.so"})
    assert found.libraries == ("libdeep.so.9",)


def test_libraries_inside_a_package_serve_only_packages():
    packages = "lib/python3.13/site-packages"
    binaries = {
        "bin/python3.13": program("libz.so.1"),
        f"{packages}/p.libs/libz.so.1": elf(name="libz.so.1"),
        f"{packages}/p/x.so": elf("libz.so.1"),
    }
    found, optional = needs(LINUX, "bin/python3.13", binaries)
    assert found.libraries == ("libz.so.1",)
    assert optional == {}


def test_files_for_other_systems_do_not_count():
    found, optional = needs(
        LINUX,
        "bin/python3.13",
        {
            "bin/python3.13": program("libc.so.6"),
            "lib/python3.13/site-packages/pip/t64.exe": Binary(
                "windows", "x86_64", "none", needed=("weird.dll",), least_os=(5, 2)
            ),
            "lib/other.so": Binary("linux", "aarch64", "gnu", needed=("libq.so",), glibc=(2, 40)),
        },
    )
    assert (found.libraries, found.glibc, found.os, optional) == ((), "2.17", "", {})


def test_macos_takes_the_slice_of_its_cpu_and_its_systems_libraries():
    lib = "/install/lib/libpython3.13.dylib"
    dylib = Binary("macos", "aarch64", "none", name=lib, least_os=(12, 3))
    binaries = {
        "bin/python3.13": (
            Binary("macos", "x86_64", "none", least_os=(10, 9), needed=("/opt/old.dylib",)),
            Binary(
                "macos",
                "aarch64",
                "none",
                least_os=(11, 0),
                needed=("/usr/lib/libSystem.B.dylib", "/System/Library/X", lib, "/opt/hb/i.dylib"),
            ),
        ),
        "lib/libpython3.13.dylib": (dylib,),
    }
    found = needs_of(MACOS, "bin/python3.13", binaries).needs
    assert found.libraries == ("/opt/hb/i.dylib",)
    assert (found.os, found.glibc, found.cpu) == ("12.3", "", "aarch64")


def test_windows_knows_its_own_dlls_and_cpythons_rule():
    def pe(*needed: str) -> Binary:
        return Binary("windows", "x86_64", "none", needed=needed, least_os=(6, 0))

    binaries = {
        "python.exe": pe("Python313.dll", "KERNEL32.dll", "api-ms-win-crt-runtime-l1-1-0.dll"),
        "python313.dll": pe("VCRUNTIME140.dll", "WS2_32.dll", "VERSION.dll"),
        "vcruntime140.dll": pe("KERNEL32.dll"),
        "DLLs/_tkinter.pyd": pe("tcl86t.dll", "MSVCP140.dll", "WINSPOOL.DRV"),
        "DLLs/tcl86t.dll": pe("USER32.dll"),
    }
    found, optional = needs(WINDOWS, "python.exe", binaries)
    assert (found.libraries, found.os) == ((), "10.0")
    assert optional == {"MSVCP140.dll": ("DLLs/_tkinter.pyd",)}
    del binaries["vcruntime140.dll"]
    older = BuildKey.parse("cpython-3.12.1-windows-x86_64-none")
    found, _ = needs(older, "python.exe", binaries)
    assert (found.libraries, found.os) == (("VCRUNTIME140.dll",), "6.3")


def test_a_script_needs_nothing_that_can_be_known():
    key = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")
    found, optional = needs(key, "python", {})
    assert (found.interpreter, found.glibc, found.libraries) == ("", "", ())
    assert (found.cpu, found.os, optional) == ("", "", {})
