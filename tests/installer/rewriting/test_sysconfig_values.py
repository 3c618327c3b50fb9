from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_installer.rewriting.sysconfig_values import ValueRewriter, build_directories

HOME = "/opt/py"

RULES = [
    # the prefix, as a path and inside words
    ("LIBDIR", "/install/lib", "/opt/py/lib"),
    ("DESTDIRS", "/install  /install/lib", "/opt/py /opt/py/lib"),
    ("LIBS", " -L/install/lib -Wl,-rpath,/install/lib ", "-L/opt/py/lib -Wl,-rpath,/opt/py/lib"),
    ("CONFIG_ARGS", "'--prefix=/install' 'X=a:/install/b'", "'--prefix=/opt/py' 'X=a:/opt/py/b'"),
    ("INSTALL", "/usr/bin/install -c", "/usr/bin/install -c"),
    ("WASM_ASSETS_DIR", "./install", "./install"),
    ("TZPATH", "/usr/share/zoneinfo:/etc/zoneinfo", "/usr/share/zoneinfo:/etc/zoneinfo"),
    # white space
    ("MODLIBS", "  -la \t -lb\n", "-la -lb"),
    ("OPT", "   ", ""),
    # toolchain
    ("CC", "clang -pthread", "cc -pthread"),
    ("CC", "musl-clang", "cc"),
    ("CC", "/usr/bin/aarch64-linux-gnu-gcc -pthread", "cc -pthread"),
    ("CC", "/usr/bin/riscv64-linux-gnu-clang", "cc"),
    ("CC", "/tools/llvm/bin/clang -pthread", "cc -pthread"),
    ("CC", "gcc -pthread", "gcc -pthread"),
    ("CC", "x86_64-linux-gnu-gcc -pthread", "x86_64-linux-gnu-gcc -pthread"),
    ("CXX", "clang++ -pthread", "c++ -pthread"),
    ("CXX", "/usr/bin/arm-linux-gnueabihf-g++", "c++"),
    ("LDCXXSHARED", "clang++ -shared", "c++ -shared"),
    ("AR", "/tools/llvm/bin/llvm-ar", "ar"),
    ("AR", "gcc-ar rcs", "ar"),
    ("MAINCC", "clang -pthread", "cc -pthread"),
    ("CPP", "clang -E", "cc -E"),
    ("RANLIB", "/tools/llvm/bin/llvm-ranlib", "ranlib"),
    ("NM", "/usr/bin/s390x-linux-gnu-nm", "nm"),
    ("READELF", "llvm-readelf", "readelf"),
    ("READELF", "@READELF@", "@READELF@"),
    ("OPT", "clang", "clang"),
    # macOS
    ("CFLAGS", "-arch arm64 -isysroot /Applications/X.sdk -fPIC", "-arch arm64 -fPIC"),
    ("CFLAGS", "-fPIC -isysroot", "-fPIC"),
    ("CONFIG_ARGS", "'CPPFLAGS=-O2 -isysroot /X.sdk' 'b'", "'CPPFLAGS=-O2' 'b'"),
    ("X", "-L/var/folders/0w/4z/T/tmpb/tools/deps/lib -ldl", "-ldl"),
    ("X", "-I/private/tmp/tmpx/deps/include", ""),
    # the build machine
    ("CFLAGS", "-O3 -I/tools/deps/include -g", "-O3 -g"),
    ("CFLAGS", "-O3 -isystem /tools/deps/include -g", "-O3 -g"),
    ("CFLAGS", "-g -fdebug-default-version=4", "-g"),
    ("LDFLAGS", "-L/tools/deps/lib -lm /tools/deps/lib/libx.a", "-lm"),
    ("LDFLAGS", "-Wl,-rpath,/tools/deps/lib:/install/lib", "-Wl,-rpath,/opt/py/lib"),
    ("RUNSHARED", "LD_LIBRARY_PATH=/build/Python-3.14.5", ""),
    (
        "RUNSHARED",
        "LD_LIBRARY_PATH=/build/Python-3.14.5:/install/lib",
        "LD_LIBRARY_PATH=/opt/py/lib",
    ),
    ("TESTPYTHON", "LD_LIBRARY_PATH=/build/P ./python -E", "./python -E"),
    ("PY_CFLAGS_NODIST", "-flto -fprofile-instr-use=/build/P/code.profclangd", "-flto"),
    ("LLVM_PROF_FILE", 'LLVM_PROFILE_FILE="/build/P/code-%p.profclangr"', ""),
    (
        "LLVM_PROF_MERGER",
        "/tools/llvm/bin/llvm-profdata merge -o=/build/P/c",
        "llvm-profdata merge",
    ),
    ("PYTHON_FOR_FREEZE", "/tools/host/bin/python3.14", "python3.14"),
    ("abs_srcdir", "/build/Python-3.14.5", ""),
    ("COVERAGE_INFO", "/build/Python-3.14.5/coverage.info", ""),
    ("MODULE_DEPS", "build/scripts-3.13/x ./build/y", "build/scripts-3.13/x ./build/y"),
    ("X", "/usr/lib:/tools/deps/lib:/install/lib", "/usr/lib:/opt/py/lib"),
    (
        "CONFIG_ARGS",
        (
            "'--with-openssl=/tools/deps' 'CC=clang' 'LLVM_AR=/tools/llvm/bin/llvm-ar'"
            " 'PKG_CONFIG_PATH=/tools/a:/tools/b' 'CFLAGS=  -I/tools/deps/include -fPIC  '"
        ),
        "'CC=clang' 'LLVM_AR=ar' 'CFLAGS= -fPIC '",
    ),
    (
        "PYTHON_FOR_BUILD",
        "_B=/build/P _H= PYTHONPATH=$(shell test -f p && echo /build/P/`cat p`:)./Lib ./python",
        "_H= ./python",
    ),
]


@pytest.mark.parametrize(("name", "value", "expected"), RULES)
def test_rules(name: str, value: str, expected: str) -> None:
    rewriter = ValueRewriter(HOME)
    assert rewriter(name, value) == expected
    assert rewriter(name, expected) == expected


def test_directories_that_only_the_file_itself_knows() -> None:
    build = build_directories("/home/me/src/Python", "/usr", None, "", ".", "/")
    assert build == ["/home/me/src/Python"]
    rewriter = ValueRewriter(HOME, build)
    assert rewriter("RUNSHARED", "LD_LIBRARY_PATH=/home/me/src/Python") == ""
    assert rewriter("X", "/home/me/src/Python-3 -lm") == "/home/me/src/Python-3 -lm"


def test_paths_stay_raw_and_command_lines_are_quoted() -> None:
    rewriter = ValueRewriter("/o p/x")
    assert rewriter("LIBDIR", "/install/lib") == "/o p/x/lib"
    assert rewriter("LIST", "/usr/lib:/install/lib") == "/usr/lib:/o p/x/lib"
    assert rewriter("CPPFLAGS", "-I/install/include") == "-I'/o p/x'/include"
    assert rewriter("RUNSHARED", "LD_LIBRARY_PATH=/install/lib") == "LD_LIBRARY_PATH='/o p/x'/lib"
    assert shlex.split(rewriter("DESTDIRS", "/install /install/lib")) == ["/o p/x", "/o p/x/lib"]


ODD = st.text(
    st.characters(blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]) | st.just(" "), min_size=1
).map(lambda text: "/" + text)
WORDS = st.lists(
    st.sampled_from(
        [
            *("-L/install/lib", "-Wl,-rpath,/install/lib", "/install", "'--prefix=/install'"),
            *('X="/install/a"', "-lm", "'-I/install/include'", "A=b:/install/c"),
            "/usr/bin/install",
        ]
    ),
    min_size=2,
)


@given(ODD, WORDS)
def test_any_home_comes_back_from_a_command_line(home: str, words: list[str]) -> None:
    value = " ".join(words)
    expected = [
        word if word == "/usr/bin/install" else word.replace("/install", home)
        for word in shlex.split(value)
    ]
    assert shlex.split(ValueRewriter(home)("X", value)) == expected


@given(ODD)
def test_a_command_line_within_a_word_is_quoted_twice(home: str) -> None:
    args = shlex.split(ValueRewriter(home)("CONFIG_ARGS", "'LDFLAGS=-L/install/lib -lx' 'b'"))
    assert args[1] == "b"
    assert shlex.split(args[0].partition("=")[2]) == [f"-L{home}/lib", "-lx"]


@given(st.text("/install touldb-LIW,=:'\" $()", max_size=60))
def test_the_prefix_itself_as_home_changes_only_white_space_and_the_build_machine(
    text: str,
) -> None:
    once = ValueRewriter("/install")("X", text)
    assert ValueRewriter("/install")("X", once) == once
    if not ValueRewriter("/x").concerns(text):
        assert once == " ".join(text.split())


@given(st.text("/install touldb-LIW,=:'\" $()", max_size=60))
def test_same_home_same_text(text: str) -> None:
    assert ValueRewriter("/h")("X", text) == ValueRewriter("/h")("X", text)


def test_what_is_inserted_is_never_looked_at_again() -> None:
    for home in ("/install/py", "/build/py", "/tools/install", "/x/install/install"):
        text = ValueRewriter(home)("X", "-L/install/lib:/install")
        assert text == f"-L{home}/lib:{home}"
