import os
import subprocess

import pytest

from kitbag_installer.roots import Root
from kitbag_installer.trampolines import MARK, misled_by_links, trampoline_target, write_trampoline
from support.require import require_command


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "ro ot's ü"))
    root.prepare()
    return root


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("shell", ["sh", "busybox"])
def test_it_hands_over_with_all_arguments(root, tmp_path, shell):
    shell_command = [require_command(shell), *(["sh"] if shell == "busybox" else [])]
    target = script(tmp_path / "a 'b' $c" / "tool", 'printf "[%s]" "$0" "$@"')
    path = str(tmp_path / "python3.13")
    write_trampoline(root, target, path)
    done = subprocess.run([*shell_command, path, "x y", "", "*"], capture_output=True, text=True)
    assert done.stdout == f"[{target}][x y][][*]"
    assert trampoline_target(path) == target
    assert os.listdir(root.temp) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#!/bin/sh\nexec /bin/true\n",
        f"#!/bin/sh\n# {MARK}\n",
        f"#!/bin/sh\n# {MARK}\nroot=/x\n",
        f"#!/bin/sh\n# {MARK}\nexec 'unfinished\n",
        f"#!/bin/sh\n# {MARK}\nexec a b c d\n",
    ],
)
def test_other_scripts_are_not_ours(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text)
    assert trampoline_target(str(path)) == ""


def test_links_folders_and_large_files_are_not_ours(root, tmp_path):
    write_trampoline(root, "/bin/true", str(tmp_path / "one"))
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "large").write_text((tmp_path / "one").read_text() + "#" * 10_000)
    found = {name: trampoline_target(str(tmp_path / name)) for name in ("one", "link", "large")}
    assert found == {"one": "/bin/true", "link": "", "large": ""}
    assert trampoline_target(str(tmp_path)) == ""


@pytest.mark.parametrize("in_environment", ["exit 1", "printf /", "printf nonsense"])
def test_an_interpreter_with_another_compiled_prefix_is_misled(root, tmp_path, in_environment):
    # At home in its own place, and not where an environment's home is a folder of links: there it
    # does not start, or finds the library of a prefix that happens to exist.
    folder = tmp_path / "real"
    program = script(
        folder / "bin" / "python3.13",
        f"case \"$0\" in */env/bin/*) {in_environment} ;; *) printf %s '{folder}' ;; esac",
    )
    assert misled_by_links(root, program)
    assert os.listdir(root.temp) == []


def test_one_that_is_at_home_through_a_link_is_not(root, tmp_path):
    (tmp_path / "minor").symlink_to("real")
    program = script(tmp_path / "real" / "bin" / "python3.13", f"printf %s '{tmp_path}/minor'")
    assert not misled_by_links(root, program)


def test_a_running_python_in_its_own_prefix_is_not(root, interpreter):
    assert not misled_by_links(root, str(interpreter.path))


def test_what_does_not_start_at_all_is_linked_all_the_same(root, tmp_path):
    assert not misled_by_links(root, script(tmp_path / "bin" / "python3.13", "exit 1"))
    assert not misled_by_links(root, str(tmp_path / "missing"))
    assert os.listdir(root.temp) == []
