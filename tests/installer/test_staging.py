import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import DigestMismatch, FileSystemError, KitbagError, SmokeTestFailed
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.receipts import read_contents, read_originals, read_receipt
from kitbag_installer.roots import Root
from kitbag_installer.staging import Staged, StagingOptions, overwrite, stage_build
from support.bundled import bundle_archives, host_key, tiny_bundle, tree_of
from support.members import Member, below, write_archive
from support.tiny import tiny_members, tiny_name

KEY = host_key()
PROGRESS = SilentReporter().progress("", 0)


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "my root"))
    root.prepare()
    return root


@pytest.fixture
def bundle(tmp_path):
    with Bundle.open(tiny_bundle(tmp_path / "x.kitbag", "3.13.5")) as opened:
        yield opened


def stage(bundle: Bundle, root: Root, **options) -> tuple[str, Staged]:
    tree = root.scratch("stage")
    build = bundle.manifest.builds[0]
    return tree, stage_build(bundle, build, root, tree, StagingOptions(**options), PROGRESS)


def test_what_comes_out_is_complete(bundle, root):
    tree, staged = stage(bundle, root)
    found = read_receipt(tree)
    home = root.install_path(KEY)
    assert (found.key, found.home, found.release) == (KEY, home, "20260101")
    assert found.source["sha256"] == bundle.manifest.builds[0].payload.sha256
    assert found.bundle == {
        "name": "tests",
        "version": "1",
        "kitbag": found.kitbag,
        "digest": bundle.promised,
    }
    assert len(bundle.promised) == 64
    assert set(found.changed) == set(staged.changed)
    assert len(staged.changed) > 5
    assert (staged.laid, staged.pieces, staged.notes) == ({}, [], [])
    assert not found.bytecode_sha256
    files = {path: content for path, (kind, _, content) in tree_of(tree).items() if kind == "f"}
    for path, digest in {**found.changed, **found.added}.items():
        assert hashlib.sha256(files[path]).hexdigest() == digest
    assert home.encode() in files["bin/pip3.13"]
    originals = read_originals(tree, found)
    assert set(originals) == set(found.changed)
    pristine = {entry.path: entry.digest for entry in read_contents(tree, found)}
    for path, data in originals.items():
        assert hashlib.sha256(data).hexdigest() == pristine[path]
        assert files[path] != data


def test_what_uv_and_pip_look_for_is_added(bundle, root):
    tree, _ = stage(bundle, root)
    found = read_receipt(tree)
    assert Path(tree, "BUILD").read_text() == "20260101"
    text = Path(tree, "lib/python3.13/EXTERNALLY-MANAGED").read_text()
    assert text.startswith("[externally-managed]\nError=")
    assert set(found.added) == {"BUILD", "lib/python3.13/EXTERNALLY-MANAGED"}
    assert found.added_links == {}  # the archive brings bin/python
    assert os.readlink(f"{tree}/bin/python") == "python3.13"


def test_pip_may_be_let_in(bundle, root):
    tree, _ = stage(bundle, root, externally_managed=False)
    assert set(read_receipt(tree).added) == {"BUILD"}
    assert not os.path.exists(f"{tree}/lib/python3.13/EXTERNALLY-MANAGED")


def test_the_marker_can_be_read_as_the_specification_says(bundle, root):
    """PEP 668: an INI file with the section and a message in ``Error``."""
    import configparser

    tree, _ = stage(bundle, root)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(f"{tree}/lib/python3.13/EXTERNALLY-MANAGED")
    assert "venv" in parser["externally-managed"]["Error"]


def archived(tmp_path: Path, members: list[Member]) -> Bundle:
    archive = write_archive(below("python", members), tmp_path / tiny_name(), ".tar.gz")
    return Bundle.open(bundle_archives(tmp_path / "y.kitbag", [(archive, KEY)]))


def test_bin_python_is_made_where_the_archive_has_none(tmp_path, root):
    members = [member for member in tiny_members() if member.path != "bin/python"]
    with archived(tmp_path, members) as bundle:
        tree, _ = stage(bundle, root)
    assert read_receipt(tree).added_links == {"bin/python": "python3.13"}
    assert os.readlink(f"{tree}/bin/python") == "python3.13"


def test_files_of_the_archive_are_not_replaced_by_ours(tmp_path, root):
    own = [Member("BUILD", b"theirs"), Member("lib/python3.13/EXTERNALLY-MANAGED", b"theirs")]
    with archived(tmp_path, [*tiny_members(), *own]) as bundle:
        tree, _ = stage(bundle, root)
    assert read_receipt(tree).added == {}
    assert Path(tree, "BUILD").read_bytes() == b"theirs"


def test_a_build_that_fails_its_test_leaves_nothing(tmp_path, root):
    path = tiny_bundle(tmp_path / "x.kitbag", "3.13.5", answers={"3.13.5": "crash"})
    with Bundle.open(path) as bundle, pytest.raises(SmokeTestFailed):
        stage(bundle, root)
    assert os.listdir(root.temp) == []


def test_a_damaged_payload_leaves_nothing(tmp_path, root, bundle):
    build = bundle.manifest.builds[0]
    other = replace(build, payload=replace(build.payload, sha256="0" * 64))
    tree = root.scratch("stage")
    with pytest.raises(DigestMismatch):
        stage_build(bundle, other, root, tree, StagingOptions(), PROGRESS)
    assert os.listdir(root.temp) == []


def test_an_error_of_the_file_system_names_the_place(bundle, root):
    build = bundle.manifest.builds[0]
    tree = f"{root.temp}/nothing/stage"
    with pytest.raises(FileSystemError, match="nothing/stage: No such file or directory"):
        stage_build(bundle, build, root, tree, StagingOptions(), PROGRESS)


def test_an_interrupt_leaves_nothing(bundle, root):
    class Interrupting:
        def __enter__(self):
            return self

        def __exit__(self, *exc: object) -> None: ...

        def advance(self, count: int) -> None:
            raise KeyboardInterrupt

    tree = root.scratch("stage")
    with pytest.raises(KeyboardInterrupt):
        stage_build(bundle, bundle.manifest.builds[0], root, tree, StagingOptions(), Interrupting())
    assert os.listdir(root.temp) == []


def test_overwriting_keeps_the_mode_and_cuts_the_rest_off(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a long text")
    path.chmod(0o755)
    overwrite(str(path), b"short")
    assert path.read_bytes() == b"short"
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_build_without_its_interpreter_is_refused(bundle, root):
    """The packer refuses such an archive; a bundle may come from elsewhere."""
    (own,) = bundle.manifest.builds
    build = replace(own, key=host_key("3.12.9"))

    class Renamed:
        manifest = bundle.manifest
        open_payload = bundle.open_payload

        def contents(self, _: object):
            return bundle.contents(own)

    tree = root.scratch("stage")
    options = StagingOptions(externally_managed=False)
    with pytest.raises(KitbagError, match=r"the build has no bin/python3\.12"):
        stage_build(Renamed(), build, root, tree, options, PROGRESS)  # type: ignore[arg-type]
    assert os.listdir(root.temp) == []
