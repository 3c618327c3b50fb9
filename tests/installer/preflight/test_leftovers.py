import os

from kitbag_installer.preflight.leftovers import leftovers
from kitbag_installer.roots import Root


def test_what_the_next_sweep_frees(tmp_path):
    root = Root(str(tmp_path / "root"))
    assert leftovers(root) == (0, 0)
    root.prepare()
    assert leftovers(root) == (0, 0)
    tree = root.scratch("stage")
    os.mkdir(tree)
    for name in ("one", "two"):
        with open(f"{tree}/{name}", "wb") as file:
            file.write(b"x" * 10000)
    os.link(f"{tree}/two", f"{tmp_path}/elsewhere")
    os.mkdir(f"{root.temp}/of-uv")
    os.symlink("x", f"{root.temp}/kitbag-journal-x")
    used = sum(os.lstat(path).st_blocks * 512 for path in (tree, f"{tree}/one"))
    assert leftovers(root) == (used, 2)
