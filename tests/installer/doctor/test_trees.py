import os
from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer import receiptlists, receipts
from kitbag_installer.doctor.findings import ADVICE, FAULT, OK
from kitbag_installer.doctor.trees import check_tree, read_tree
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny

KEY = host_key()


@pytest.fixture
def root(tmp_path) -> Root:
    return install_tiny(tiny_bundle(tmp_path / "x.kitbag", "3.13.5"), tmp_path / "root")


@pytest.fixture
def place(root) -> Path:
    return Path(root.install_path(KEY))


def findings(root: Root, key: BuildKey = KEY, *, check: str = ""):
    return [each for each in check_tree(read_tree(root, key)) if check in ("", each.check)]


def test_a_build_as_it_was_installed(root):
    found = findings(root)
    assert {each.severity for each in found} == {OK}
    assert {each.check for each in found} == {
        "receipt",
        "home",
        "stale-paths",
        "links",
        "externally-managed",
    }


def test_the_prefix_that_was_left_over(root, place):
    path = place / "lib/pkgconfig/python-3.13.pc"
    path.write_text(f"a={place}/lib\nb=/usr/bin/install\nlibdir=/install/lib\n")
    (found,) = findings(root, check="stale-paths")
    assert found.severity == FAULT
    assert found.message == ("lib/pkgconfig/python-3.13.pc:3: names /install, where it was built")
    assert found.cure == f"kitbag repair BUNDLE {KEY} --root {root.path}"


def test_a_script_that_starts_what_is_gone(root, place):
    (place / "bin/pip3.13").write_text("#!/gone/python3.13\n")
    (place / "bin/own").write_text("#!/gone/too -x\n")
    found = findings(root, check="stale-paths")
    assert [(each.severity, each.message) for each in found] == [
        (ADVICE, "bin/own starts /gone/too, which is not there"),
        (FAULT, "bin/pip3.13 starts /gone/python3.13, which is not there"),
    ]


def test_what_another_tool_installed_is_known_less_of(root, place):
    import shutil

    shutil.rmtree(place / ".kitbag")
    (place / "lib/pkgconfig/python-3.13.pc").write_text("libdir=/install/lib\n")
    found = {each.check: each for each in findings(root)}
    assert found["receipt"].message.startswith("another tool installed it")
    # uv leaves the prefix in most files.
    assert found["stale-paths"].severity == ADVICE
    assert "home" not in found


def test_links_inside_of_the_build(root, place):
    (good,) = findings(root, check="links")
    assert good.severity == OK
    (place / "bin/python").unlink()
    (found,) = findings(root, check="links")
    assert (found.severity, found.message) == (FAULT, "bin/python is missing")
    assert found.cure == read_tree(root, KEY).mend
    (place / "bin/python").symlink_to("/usr/bin/python3")
    assert findings(root, check="links")[0].message == "bin/python leads to /usr/bin/python3"
    (place / "bin/python").unlink()
    (place / "bin/python").write_text("")
    assert findings(root, check="links")[0].message == "bin/python is no link any more"
    (place / "bin/python").unlink()
    (place / "bin/python").symlink_to("python3.13")
    (place / "bin/python3.13").unlink()
    found = findings(root, check="links")[0].message
    assert "bin/python leads to python3.13, which is not there" in found


def test_of_another_tools_links_only_what_leads_nowhere(root, place):
    import shutil

    shutil.rmtree(place / ".kitbag")
    (place / "bin/python").unlink()
    assert findings(root, check="links")[0].severity == OK
    (place / "bin/python").symlink_to("gone")
    (found,) = findings(root, check="links")
    assert (found.severity, found.message) == (
        ADVICE,
        "bin/python leads to gone, which is not there",
    )


def test_a_receipt_that_is_damaged(root, place):
    (place / ".kitbag/receipt.json").write_text("{")
    found = {each.check: each for each in findings(root)}
    assert found["receipt"].severity == FAULT
    assert found["receipt"].cure == read_tree(root, KEY).mend


def test_a_receipt_that_is_gone_is_not_another_tools(root, place):
    (place / ".kitbag/receipt.json").unlink()
    (found,) = findings(root, check="receipt")
    assert (found.severity, found.cure) == (FAULT, read_tree(root, KEY).mend)
    assert found.message == f"{place}/.kitbag has no receipt any more"


def test_a_list_that_is_damaged(root, place):
    (place / ".kitbag/contents.tsv").write_text("")
    (found,) = findings(root, check="receipt")
    assert found.severity == FAULT
    assert "contents.tsv" in found.message


def test_a_build_that_was_moved(root, tmp_path):
    os.rename(root.path, tmp_path / "new")
    new = Root(str(tmp_path / "new"))
    (found,) = findings(new, check="home")
    assert (found.severity, found.cure) == (FAULT, f"kitbag relocate --root {new.path}")
    assert found.message == f"it was moved here from {root.install_path(KEY)}"


def test_pip_must_be_told(root, place):
    (place / "lib/python3.13/EXTERNALLY-MANAGED").unlink()
    (found,) = findings(root, check="externally-managed")
    assert found.severity == ADVICE
    assert "lib/python3.13/EXTERNALLY-MANAGED is not there" in found.message


def test_unless_nobody_wanted_that(tmp_path):
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    root = install_tiny(bundle, tmp_path / "root", externally_managed=False)
    (found,) = findings(root, check="externally-managed")
    assert found.severity == OK


def test_compiled_files_that_are_gone(root, place):
    import dataclasses
    import hashlib
    import shutil

    receipt = receipts.read_receipt(str(place))
    contents = (place / ".kitbag/contents.tsv").read_bytes()
    originals = (place / ".kitbag/originals.json.gz").read_bytes()
    paths = ["lib/python3.13/__pycache__/os.cpython-313.pyc", "lib/python3.13/LICENSE.txt"]
    bytecode = receiptlists.pack_bytecode(dict.fromkeys(paths, "0" * 64))
    shutil.rmtree(place / ".kitbag")
    receipts.write_receipt(
        str(place),
        dataclasses.replace(receipt, bytecode_sha256=hashlib.sha256(bytecode).hexdigest()),
        contents,
        originals,
        bytecode,
    )
    (found,) = findings(root, check="bytecode")
    assert found.severity == ADVICE
    assert found.message.startswith("1 of 2 compiled files are gone")
    assert found.cure == f"kitbag compile {KEY} --root {root.path}"
    (place / ".kitbag/bytecode.tsv").write_text("")
    (found,) = findings(root, check="bytecode")
    assert found.severity == FAULT


def test_what_was_shipped_comes_from_the_list(root, place):
    folder = place / "lib/python3.13/lib-dynload"
    tree = read_tree(root, KEY)
    assert tree.shipped == frozenset()
    assert "os" in tree.sources
    (place / "lib/python3.13/os.py").unlink()
    assert "os" in read_tree(root, KEY).sources
    (folder / "_csv.cpython-313-x86_64-linux-gnu.so").write_bytes(b"")
    assert read_tree(root, KEY).shipped == frozenset()
    import shutil

    shutil.rmtree(place / ".kitbag")
    (folder / "readline.abi3.so").write_bytes(b"")
    found = read_tree(root, KEY)
    assert found.shipped == {"_csv", "readline"}
    assert "readline.abi3.so" in found.libraries
