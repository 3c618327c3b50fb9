import errno
import os
import re

import pytest

from kitbag_bundles import errors
from kitbag_bundles.errors import DoesNotFit, KitbagError, NoMatch, error_of, file_system_error


def tree(kind: type[KitbagError] = KitbagError) -> list[type[KitbagError]]:
    return [kind] + [below for child in kind.__subclasses__() for below in tree(child)]


def test_the_picture_in_the_docstring_is_the_tree():
    assert errors.__doc__ is not None
    drawn = re.findall(r"([A-Z]\w+)\s+(\d+)  ", errors.__doc__)
    ours = [kind for kind in tree() if kind.__module__ == errors.__name__]
    assert drawn == [(kind.__name__, str(kind.exit_status)) for kind in ours]


def test_every_class_has_a_code_of_its_own_by_which_it_is_found_again():
    codes = [kind.code for kind in tree()]
    assert len(set(codes)) == len(codes)
    for kind in tree():
        again = error_of(kind.code, "what happened")
        assert type(again) is kind
        assert str(again) == "what happened"


def test_an_unknown_code_is_a_plain_failure():
    again = error_of("from-the-future", "what happened")
    assert (type(again), again.exit_status, str(again)) == (KitbagError, 1, "what happened")


def test_an_error_as_a_table():
    assert NoMatch("what").table() == {"code": "no-match", "message": "what"}
    assert DoesNotFit("what").table() == {"code": "does-not-fit", "message": "what"}
    points = [{"code": "space", "message": "full", "advice": False}]
    table = DoesNotFit("full", points).table()
    assert table == {"code": "does-not-fit", "message": "full", "points": points}


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free some space or inodes"),
        (errno.EACCES, "check the permissions"),
        (errno.EROFS, "choose a place that can be written"),
        (errno.EIO, "check the medium"),
        (errno.ENAMETOOLONG, "choose a shorter path"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ELOOP, "check that path"),
    ],
)
def test_a_file_system_error_names_the_file_the_trouble_and_the_cure(number, cure):
    found = file_system_error(OSError(number, os.strerror(number), "/some/file"), "/root")
    assert str(found).startswith(f"/some/file: {os.strerror(number)}; ")
    assert cure in str(found)
    assert found.exit_status == 1


def test_a_file_system_error_without_a_file_names_what_was_worked_on():
    assert str(file_system_error(OSError(errno.EIO, "I/O error"), "/root")).startswith("/root: I/O")
    assert str(file_system_error(OSError("odd"), "/root")) == "/root: odd; check that path"
    with_bytes = OSError(errno.EIO, "I/O error", b"/a\xff")
    assert str(file_system_error(with_bytes, "/root")).startswith("/a\ufffd: I/O error")
