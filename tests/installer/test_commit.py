import contextlib
import os
import signal
from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer import commit
from kitbag_installer.roots import Root
from support.bundled import tree_of
from support.require import require

# Python 3.12 and newer warn about any fork beside a thread; pytest-xdist has one.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
STEPS = ("rename", "symlink", "unlink", "rmdir", "replace")


class Killed(BaseException):
    """What a kill is to the code: nothing behind it runs."""


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "root"))
    root.prepare()
    # uv's own scratch, in use or left behind.
    (Path(root.temp) / ".tmpAbCdEf").mkdir()
    (Path(root.temp) / ".tmpAbCdEf" / "python").write_text("uv's")
    return root


@pytest.fixture(params=["exchange", "journal", "journal-without-links"])
def exchanging(request, monkeypatch):
    """The file system can exchange two names, or can't, or can't make links either."""
    if request.param != "exchange":
        monkeypatch.setattr(commit, "exchange", lambda one, other: False)
    if request.param == "journal-without-links":
        symlink = os.symlink

        def refusing(target, path, *arguments, **keywords):
            if "kitbag-journal-" in os.fspath(path):
                raise PermissionError(1, "Operation not permitted", path)
            symlink(target, path, *arguments, **keywords)

        monkeypatch.setattr(os, "symlink", refusing)
    return request.param == "exchange"


def make_tree(path: str, text: str) -> str:
    os.makedirs(f"{path}/lib/deep")
    for name in ("lib/a", "lib/deep/b", "c"):
        Path(path, name).write_text(text)
    Path(path, "link").symlink_to("lib")
    return path


def staged(root: Root, text: str) -> str:
    return make_tree(root.scratch("stage"), text)


def installed(root: Root) -> set[str]:
    """The texts in the tree that is in place; one if it is whole."""
    tree = tree_of(root.install_path(KEY))
    assert set(tree) == {"lib", "lib/a", "lib/deep", "lib/deep/b", "c", "link"}
    return {content.decode() for kind, _, content in tree.values() if kind == "f"}


def left_over(root: Root) -> list[str]:
    assert (Path(root.temp) / ".tmpAbCdEf" / "python").read_text() == "uv's"
    return sorted(set(os.listdir(root.temp)) - {".tmpAbCdEf"})


def test_a_first_install_is_one_rename(root, exchanging):
    tree = staged(root, "new")
    commit.put_in_place(root, KEY, tree)
    assert installed(root) == {"new"}
    assert left_over(root) == []


def test_an_old_tree_gives_way_and_is_removed(root, exchanging):
    make_tree(root.install_path(KEY), "old")
    commit.put_in_place(root, KEY, staged(root, "new"))
    assert installed(root) == {"new"}
    assert left_over(root) == []


def test_a_link_in_the_place_gives_way_without_being_followed(root, exchanging, tmp_path):
    elsewhere = make_tree(str(tmp_path / "elsewhere"), "elsewhere")
    os.symlink(elsewhere, root.install_path(KEY))
    commit.put_in_place(root, KEY, staged(root, "new"))
    assert installed(root) == {"new"}
    assert Path(elsewhere, "c").read_text() == "elsewhere"
    assert left_over(root) == []


def kill_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the ``number``-th change of the file system be the last thing that happens."""
    done = 0

    def dying(real):
        def call(*arguments, **keywords):
            nonlocal done
            done += 1
            if done > number:
                raise Killed
            return real(*arguments, **keywords)

        return call

    for name in STEPS:
        patch.setattr(os, name, dying(getattr(os, name)))


@pytest.mark.parametrize("number", range(16))
def test_a_kill_leaves_the_old_or_the_new_and_the_next_run_cleans_up(root, exchanging, number):
    make_tree(root.install_path(KEY), "old")
    tree = staged(root, "new")
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, number)
        try:
            commit.put_in_place(root, KEY, tree)
            finished = True
        except Killed:
            finished = False
    # The journal alone has a moment without a tree, which it ends itself.
    if exchanging:
        assert installed(root) in ({"old"}, {"new"})
    commit.sweep(root)
    assert installed(root) in (({"new"},) if finished else ({"old"}, {"new"}))
    assert left_over(root) == []


@pytest.mark.parametrize("number", range(12))
def test_a_kill_while_sweeping_is_mended_by_the_next_sweep(root, monkeypatch, number):
    make_tree(root.install_path(KEY), "old")
    tree = staged(root, "new")
    monkeypatch.setattr(commit, "exchange", lambda one, other: False)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 2)  # the journal is written, nothing more
        with pytest.raises(Killed):
            commit.put_in_place(root, KEY, tree)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, number)
        with contextlib.suppress(Killed):
            commit.sweep(root)
    commit.sweep(root)
    assert installed(root) == {"new"}
    assert left_over(root) == []


def test_the_sweep_takes_ours_and_leaves_uvs(root):
    assert commit.sweep(root) == 0
    staged(root, "half")
    Path(root.scratch("file")).write_text("half")
    os.symlink("nothing", root.scratch("file"))
    os.symlink("nothing", f"{root.temp}/kitbag-journal-what-is-this")
    assert left_over(root)
    assert commit.sweep(root) == 4
    assert left_over(root) == []
    assert commit.sweep(Root(f"{root.path}/nothing")) == 0


@pytest.mark.parametrize(
    "content", ["", ".", "..", "../outside", "ABSOLUTE", "kitbag-next-/../..", "\xff"]
)
@pytest.mark.parametrize("how", ["file", "link"])
def test_a_journal_that_names_no_tree_of_ours_changes_nothing(root, content, how):
    place = Path(root.install_path(KEY))
    place.mkdir()
    outside = Path(root.path, "outside")
    outside.mkdir()
    content = content.replace("ABSOLUTE", str(outside))
    journal = Path(root.temp, f"kitbag-journal-{KEY}")
    if how == "link" and content:
        journal.symlink_to(content)
    else:
        journal.write_text(content, encoding="latin-1")
    inode = place.stat().st_ino
    commit.sweep(root)
    assert (place.stat().st_ino, outside.is_dir()) == (inode, True)
    assert left_over(root) == []


def test_a_journal_whose_tree_is_gone_changes_nothing(root):
    make_tree(root.install_path(KEY), "old")
    os.symlink("kitbag-next-0123456789ab", f"{root.temp}/kitbag-journal-{KEY}")
    assert commit.sweep(root) == 1
    assert installed(root) == {"old"}
    assert left_over(root) == []


def test_retiring_takes_a_build_out_of_sight_at_once(root):
    make_tree(root.install_path(KEY), "old")
    trash = commit.retire(root, KEY)
    assert not os.path.lexists(root.install_path(KEY))
    assert os.path.dirname(trash) == root.temp
    assert commit.sweep(root) == 1
    assert left_over(root) == []


def test_exchange_swaps_two_names(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.symlink_to("nothing")
    require(commit.exchange(str(one), str(other)), "renameat2 with RENAME_EXCHANGE")
    assert one.is_symlink()
    assert other.is_dir()
    with pytest.raises(FileNotFoundError):
        commit.exchange(str(one), str(tmp_path / "third"))


def test_a_tree_is_removed_without_following_links(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    tree = Path(make_tree(str(tmp_path / "tree"), "x"))
    (tree / "lib" / "out").symlink_to(outside)
    assert commit.remove_tree(str(tree))
    assert not tree.exists()
    assert not commit.remove_tree(str(tree))
    (tmp_path / "link").symlink_to(outside)
    assert commit.remove_tree(str(tmp_path / "link"))
    assert (outside / "file").read_text() == "stays"


def test_a_tree_with_closed_folders_is_removed_by_its_owner(tmp_path):
    """For root nothing is closed, so a child that is someone else does the work."""
    tree = make_tree(str(tmp_path / "tree"), "x")
    nobody = 65534
    if os.getuid() == 0:
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.lchown(path, nobody, nobody)
    for folder in (f"{tree}/lib/deep", f"{tree}/lib", tree):
        os.chmod(folder, 0o500)
    process = os.fork()
    if process == 0:
        status = 1
        try:
            # Folders above may be closed to others; names relative to here are enough.
            os.chdir(tmp_path)
            if os.getuid() == 0:
                os.setgid(nobody)
                os.setuid(nobody)
            commit.remove_tree("tree")
            status = 2 if os.path.lexists("tree") else 0
        finally:
            os._exit(status)
    _, result = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(result) == 0


def test_flushing_brings_the_file_system_to_the_disk(root):
    commit.flush(root)


def test_a_real_kill_is_what_the_tests_above_say_it_is(root):
    """SIGKILL at a random moment, again and again; the tree is always whole after a sweep."""
    make_tree(root.install_path(KEY), "old")
    for turn in range(15):
        tree = staged(root, f"new{turn}")
        process = os.fork()
        if process == 0:
            commit.put_in_place(root, KEY, tree)
            os._exit(0)
        if turn % 3:
            os.sched_yield()
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        commit.sweep(root)
        assert len(installed(root)) == 1
        assert left_over(root) == []
