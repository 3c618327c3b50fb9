import os
import sys
import zipfile
from pathlib import Path

import pytest

from kitbag_installer.doctor import asking
from kitbag_installer.doctor.asking import Interview, Mute, write_program
from kitbag_installer.doctor.probes import PROBES
from kitbag_installer.doctor.processes import Children
from support.interpreters import find_interpreters

# Of what an interpreter gets: -I -B PROGRAM SCRATCH NAME...
STAND_IN = """#!/bin/sh
echo "$@" >> @log@
shift 4
for name in "$@"; do
    echo "{\\"begin\\": \\"$name\\"}"
    case $name in
    crash) echo "deep trouble" >&2; kill -SEGV $$ ;;
    leave) exit 7 ;;
    hang) sleep 3600 ;;
    noise) echo "what is this"; echo "[1]" ;;
    esac
    echo "{\\"end\\": \\"$name\\", \\"facts\\": {\\"note\\": \\"$name\\"}}"
done
case "$1" in
linger) exec >&-; sleep 3600 ;;
esac
"""


@pytest.fixture
def scratch(tmp_path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def interview(program: object, scratch: Path, limit: float = 20.0, **environ: str) -> Interview:
    given = {**os.environ, **environ}
    return Interview(Children(), str(program), str(scratch), given, limit)


@pytest.fixture
def stand_in(tmp_path) -> Path:
    path = tmp_path / "python"
    path.write_text(STAND_IN.replace("@log@", str(tmp_path / "log")))
    path.chmod(0o755)
    return path


def test_every_question_gets_an_answer(stand_in, scratch):
    answers = interview(stand_in, scratch).ask(["one", "noise", "two"])
    assert list(answers) == ["one", "noise", "two"]
    assert [answer.facts for answer in answers.values()] == [
        {"note": "one"},
        {"note": "noise"},
        {"note": "two"},
    ]


def test_a_crash_is_the_fault_of_one_thing(stand_in, scratch, tmp_path):
    answers = interview(stand_in, scratch).ask(["one", "crash", "two", "leave", "three"])
    assert [name for name, answer in answers.items() if answer.crashed] == ["crash", "leave"]
    assert answers["crash"].error == "the interpreter ended with signal 11: deep trouble"
    assert answers["leave"].error == "the interpreter ended with status 7"
    assert answers["three"].facts == {"note": "three"}
    starts = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[4:] for line in starts] == [
        ["one", "crash", "two", "leave", "three"],
        ["two", "leave", "three"],
        ["three"],
    ]


def test_so_is_a_hang(stand_in, scratch):
    answers = interview(stand_in, scratch, limit=0.5).ask(["one", "hang", "two"])
    assert answers["hang"].hung
    assert answers["hang"].error == "no answer within 0.5 seconds"
    assert answers["two"].facts == {"note": "two"}


def test_one_that_does_not_end(stand_in, scratch):
    answers = interview(stand_in, scratch, limit=0.5).ask(["linger"])
    assert answers["linger"].hung


def test_what_is_no_python_answers_nothing(tmp_path, scratch):
    with pytest.raises(Mute, match=r"^the interpreter ended with status 0$"):
        interview("/bin/true", scratch).ask(["one", "two"])


def test_nor_does_one_that_hangs_at_once(tmp_path, scratch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 3600\n")
    program.chmod(0o755)
    with pytest.raises(Mute, match=r"^no answer within 0\.5 seconds$"):
        interview(program, scratch, limit=0.5).ask(["one", "two"])


def test_the_program_comes_out_of_a_zip_file_too(tmp_path, scratch):
    archive = tmp_path / "kitbag.zip"
    top = Path(asking.__file__).parents[2]
    with zipfile.ZipFile(archive, "w") as file:
        for path in [
            *top.glob("kitbag_installer/doctor/*.py"),
            top / "kitbag_installer" / "__init__.py",
        ]:
            file.write(path, path.relative_to(top))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from kitbag_installer.doctor.asking import write_program\n"
        f"write_program({str(scratch)!r})"
    )
    done = Children().run([sys.executable, "-I", "-S", "-c", code], str(scratch), os.environ, 20)
    assert done.status == 0, done.err
    assert (scratch / "probes.py").read_bytes() == Path(asking.__file__).with_name(
        "probes.py"
    ).read_bytes()


@pytest.mark.parametrize("one", find_interpreters((3, 8)), ids=lambda one: one.full_version)
def test_a_real_interpreter_can_try_everything(one, scratch):
    names = [name for name in PROBES if name not in ("extension", "zstd", "tkinter")]
    answers = interview(one.path, scratch).ask([*names, "module:_json", "module:_no_such"])
    assert {name for name, answer in answers.items() if answer.crashed or answer.hung} == set()
    for name in ("ssl", "sqlite3", "ctypes", "zlib", "bz2", "lzma", "hashlib", "uuid", "bytecode"):
        assert answers[name].facts is not None, (name, answers[name])
    assert answers["module:_no_such"].absent
    assert answers["module:_no_such"].module == "_no_such"
    assert write_program(str(scratch)).endswith("probes.py")


def test_certificates_that_are_nowhere(interpreter, scratch):
    nowhere = {"SSL_CERT_FILE": "/nowhere/cert.pem", "SSL_CERT_DIR": "/nowhere/certs"}
    (answer,) = interview(interpreter.path, scratch, **nowhere).ask(["ca-certificates"]).values()
    assert answer.facts == {"count": 0, "places": ["/nowhere/cert.pem", "/nowhere/certs"]}


def test_a_terminal_that_is_described_nowhere(interpreter, scratch):
    (answer,) = interview(interpreter.path, scratch, TERM="kitbag-99").ask(["terminfo"]).values()
    assert answer.facts is not None
    assert "could not find terminal" in answer.facts["problem"]


def test_a_locale_that_is_not_there(interpreter, scratch):
    (answer,) = interview(interpreter.path, scratch, LC_ALL="xx_XX.UTF-8").ask(["locale"]).values()
    assert answer.facts is not None
    assert "locale" in answer.facts["problem"]
