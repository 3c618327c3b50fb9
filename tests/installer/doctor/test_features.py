import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer.doctor.asking import Answer
from kitbag_installer.doctor.features import Subject, judge, missing_library, names_of_features
from kitbag_installer.doctor.findings import ADVICE, FAULT, OK

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
MODULES = frozenset({"_ssl", "_lzma", "readline", "_tkinter", "_dbm"})
SOURCES, LIBRARIES = frozenset({"sqlite3", "sqlite3.dbapi2"}), frozenset({"libtcl9.0.so"})


def subject(
    key: BuildKey = KEY,
    *,
    shipped: frozenset[str] = MODULES,
    made_here: bool = False,
    parts: frozenset[str] = frozenset(),
):
    return Subject(key, "/opt/py", shipped, SOURCES, LIBRARIES, parts, made_here, "MEND", "RENEW")


def only(check: str, answer: Answer, **about):
    (found,) = judge(subject(**about), {check: answer})
    return found


@pytest.mark.parametrize(
    ("error", "library"),
    [
        (
            "libreadline.so.8: cannot open shared object file: No such file or directory",
            "libreadline.so.8",
        ),
        (
            "Error loading shared library libncursesw.so.6: No such file (needed by /opt/x.so)",
            "libncursesw.so.6",
        ),
        ("dlopen(/x.so, 2): Library not loaded: @rpath/libx.1.dylib", "@rpath/libx.1.dylib"),
        ("No module named '_lzma'", ""),
        ("/opt/x.so: undefined symbol: foo", ""),
    ],
)
def test_the_library_that_a_loader_misses(error, library):
    assert missing_library(error) == library


class TestWhatIsBroken:
    missing = Answer(error="libx.so.5: cannot open shared object file: No such file")

    def test_a_library_of_the_system(self):
        found = only("ssl", self.missing)
        assert found.severity == FAULT
        assert found.message == "needs libx.so.5, which is not here"
        assert found.cure == "install the system's package that has libx.so.5"

    def test_of_a_build_that_was_made_on_another_machine_it_is_optional(self):
        assert only("ssl", self.missing, made_here=True).severity == ADVICE
        assert only("readline", self.missing).severity == ADVICE

    def test_a_library_of_the_build_itself(self):
        lost = Answer(error="libtcl9.0.so: cannot open shared object file: No such file")
        found = only("tkinter", lost, made_here=True)
        assert (found.severity, found.cure) == (FAULT, "MEND")

    def test_a_module_that_was_shipped(self):
        gone = Answer(error="No module named '_lzma'", module="_lzma", absent=True)
        assert only("lzma", gone)[:3] == ("lzma", FAULT, "No module named '_lzma'")

        gone = Answer(error="no", module="sqlite3.dbapi2", absent=True)
        assert only("sqlite3", gone).severity == FAULT

    def test_a_module_that_never_was(self):
        never = Answer(error="No module named '_bz2'", module="_bz2", absent=True)
        found = only("bz2", never)
        assert (found.severity, found.message) == (ADVICE, "this build has no _bz2")

    def test_an_interpreter_that_does_not_survive(self):
        found = only("readline", Answer(error="it ended", crashed=True), made_here=True)
        assert found == ("readline", FAULT, "it ended", "MEND")

    def test_one_that_is_too_slow_or_hangs(self):
        found = only("extension", Answer(error="no answer", hung=True), made_here=True)
        assert (found.severity, found.message) == (FAULT, "no answer")
        assert found.cure == "a longer --time-limit, if this machine is slow; otherwise MEND"

    @pytest.mark.parametrize(
        ("check", "part", "facts"),
        [
            ("pip", "pip", {"version": "", "problem": "", "wheels": 1}),
            ("pip", "wheel", {"version": "25", "problem": "", "wheels": 0}),
            ("extension", "headers", {"compiler": "cc", "headers": False, "include": "/i"}),
        ],
    )
    def test_what_came_with_it_and_is_gone(self, check, part, facts):
        found = only(check, Answer(facts=facts), parts=frozenset({part}))
        assert (found.severity, found.cure) == (FAULT, "MEND")
        assert only(check, Answer(facts=facts)).severity in (OK, ADVICE)

    def test_other_implementations_may_lack_what_programs_seldom_need(self):
        pypy = BuildKey.parse("pypy-3.11.13-linux-x86_64-gnu")
        assert only("curses", Answer(error="no"), key=pypy).severity == ADVICE
        assert only("ssl", Answer(error="no"), key=pypy).severity == FAULT

    def test_modules_that_no_other_check_has_told_of(self):
        gone = Answer(error="No module named '_lzma'", module="_lzma", absent=True)
        other = Answer(error="No module named '_csv'", module="_csv", absent=True)
        found = judge(
            subject(shipped=MODULES | {"_csv"}),
            {"lzma": gone, "module:_lzma": gone, "module:_csv": other},
        )
        assert [(each.check, each.severity) for each in found] == [
            ("lzma", FAULT),
            ("extension-modules", FAULT),
        ]
        assert found[1].message == "_csv: No module named '_csv'"
        (fine,) = judge(subject(), {"module:_csv": Answer(facts={})})
        assert fine == ("extension-modules", OK, "1 can be imported", "")

    def test_programs_may_not_run_where_temporary_files_go(self):
        said = "/t/kitbagprobe.so: failed to map segment from shared object"
        assert only("extension", Answer(error=said)).severity == ADVICE


@pytest.mark.parametrize(
    ("check", "facts", "severity", "words"),
    [
        ("ssl", {"note": "OpenSSL 3.5"}, OK, "OpenSSL 3.5"),
        ("ca-certificates", {"count": 3, "places": []}, OK, "certificates"),
        ("ca-certificates", {"count": 0, "places": ["/a", "/b"]}, FAULT, "/a or /b"),
        ("hashlib", {"missing": ["md5"]}, FAULT, "lacks md5"),
        ("terminfo", {"term": "xterm"}, OK, "xterm"),
        ("terminfo", {"term": "x", "problem": "no"}, ADVICE, "'x'"),
        ("tkinter", {"found": True, "note": "Tcl 9"}, OK, "Tcl 9"),
        ("tkinter", {"found": False, "places": ["/a", "/b"]}, ADVICE, "/a or /b"),
        ("locale", {"problem": "", "names": ["utf-8", "UTF-8"]}, OK, "UTF-8"),
        ("locale", {"problem": "", "names": ["utf-8", "cp1252"]}, ADVICE, "cp1252"),
        ("locale", {"problem": "unsupported", "names": []}, ADVICE, "unsupported"),
        ("time-zones", {"found": False}, ADVICE, "no time zones"),
        ("pip", {"version": "25", "problem": "", "wheels": 1}, OK, "pip 25"),
        ("pip", {"version": "", "problem": "broken", "wheels": 1}, FAULT, "broken"),
        ("pip", {"version": "", "problem": "", "wheels": 1}, ADVICE, "not installed"),
        ("pip", {"version": "", "problem": "", "wheels": 0}, ADVICE, "brings none"),
        ("bytecode", {"stale": []}, OK, "agrees"),
        ("bytecode", {"stale": ["lib/a.py", "lib/b.py"]}, FAULT, "lib/a.py and 1 more"),
        ("extension", {"compiler": "", "wanted": ["cc"]}, OK, "no compiler (cc)"),
        ("extension", {"compiler": "cc", "headers": False, "include": "/i"}, ADVICE, "/i"),
        ("extension", {"compiler": "cc", "headers": True, "failed": "no"}, FAULT, "cc fails: no"),
        ("extension", {"compiler": "cc", "headers": True}, OK, "built with cc"),
        ("sysconfig", {"prefix": "/opt/py", "values": {"LIBDIR": "/opt/py/lib"}}, OK, "place"),
        ("sysconfig", {"prefix": "/opt/py", "values": {"LIBDIR": "/old/lib"}}, FAULT, "/old/lib"),
    ],
)
def test_what_an_answer_means(check, facts, severity, words):
    found = only(check, Answer(facts=facts))
    assert (found.check, found.severity) == (check, severity)
    assert words in found.message
    assert bool(found.cure) == (severity != OK)


def test_a_build_with_descriptions_of_terminals_says_where(tmp_path):
    (tmp_path / "share" / "terminfo").mkdir(parents=True)
    about = subject()._replace(tree=str(tmp_path))
    (found,) = judge(about, {"terminfo": Answer(facts={"term": "x", "problem": "no"})})
    assert found.cure == f"export TERMINFO_DIRS={tmp_path}/share/terminfo"


@pytest.mark.parametrize(
    ("key", "more", "less"),
    [
        ("cpython-3.13.5-linux-x86_64-gnu", {"tkinter", "dbm", "extension", "sysconfig"}, {"zstd"}),
        ("cpython-3.14.0-linux-x86_64-gnu", {"zstd"}, set()),
        ("cpython-3.13.5+freethreaded+debug-linux-x86_64-musl", {"extension"}, {"zstd"}),
        (
            "cpython-3.13.5-windows-x86_64-none",
            {"ssl", "bytecode"},
            {"readline", "extension", "sysconfig", "curses"},
        ),
        (
            "pypy-3.11.13-linux-x86_64-gnu",
            {"ssl", "extension", "tkinter"},
            {"bytecode", "sysconfig"},
        ),
        ("graalpy-3.12.0-linux-x86_64-gnu", {"ssl"}, {"extension", "bytecode", "sysconfig"}),
    ],
)
def test_what_is_tried_depends_on_what_the_build_is(key, more, less):
    names = set(names_of_features(subject(BuildKey.parse(key))))
    assert more <= names
    assert not less & names


def test_pyodide_is_asked_what_makes_sense_inside_of_another_program():
    key = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")
    assert names_of_features(subject(key)) == ["zlib", "hashlib", "uuid"]


def test_what_is_not_shipped_is_not_tried():
    names = names_of_features(subject(shipped=frozenset({"_csv"})))
    assert not {"tkinter", "dbm"} & set(names)
    assert "module:_csv" in names
