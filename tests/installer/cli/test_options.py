import argparse
import os

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import chosen_bin_dir, chosen_jobs, chosen_root


def options(**given) -> argparse.Namespace:
    return argparse.Namespace(
        **{"root": None, "bin_dir": None, "no_bin": False, "jobs": None, **given}
    )


def test_the_option_beats_the_environment_and_that_the_default(monkeypatch, home):
    assert chosen_root(options()).path == str(home / ".local/share/kitbag/python")
    assert chosen_bin_dir(options()) == str(home / ".local/bin")
    monkeypatch.setenv("KITBAG_ROOT", "/env/root")
    monkeypatch.setenv("KITBAG_BIN_DIR", "/env/bin")
    monkeypatch.setenv("KITBAG_JOBS", "7")
    assert chosen_root(options()).path == "/env/root"
    assert chosen_bin_dir(options()) == "/env/bin"
    assert chosen_jobs(options()) == 7
    assert chosen_root(options(root="/o/root")).path == "/o/root"
    assert chosen_bin_dir(options(bin_dir="/o/bin")) == "/o/bin"
    assert chosen_bin_dir(options(no_bin=True)) == ""
    assert chosen_jobs(options(jobs="2")) == 2


def test_paths_are_made_absolute(monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    assert chosen_root(options(root="r")).path == str(tmp_path / "r")
    assert chosen_bin_dir(options(bin_dir="./b/")) == str(tmp_path / "b")
    assert chosen_bin_dir(options(bin_dir="~/b")) == str(home / "b")


def test_what_is_empty_is_not_taken_for_the_default():
    """As in ``--root "$UNSET"``."""
    with pytest.raises(UsageError, match="--root is empty"):
        chosen_root(options(root=""))
    with pytest.raises(UsageError, match="--bin-dir is empty"):
        chosen_bin_dir(options(bin_dir=""))


def test_without_a_home_the_way_out_is_told(monkeypatch):
    for name in ("HOME", "XDG_DATA_HOME", "XDG_BIN_HOME"):
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match="--root DIR"):
        chosen_root(options())
    with pytest.raises(UsageError, match="--bin-dir DIR, or say --no-bin"):
        chosen_bin_dir(options())
    assert chosen_bin_dir(options(no_bin=True)) == ""


def test_by_default_as_many_jobs_as_processors_that_may_be_used():
    assert chosen_jobs(options()) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", " ", "\xb2", "1e3"])
def test_what_is_no_number_of_jobs(monkeypatch, text):
    with pytest.raises(UsageError, match="is no number of jobs; write 1 or more"):
        chosen_jobs(options(jobs=text))
    monkeypatch.setenv("KITBAG_JOBS", text)
    with pytest.raises(UsageError):
        chosen_jobs(options())
