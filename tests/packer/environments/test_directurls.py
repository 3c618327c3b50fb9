"""Where packages come from that no index had."""

from __future__ import annotations

import pytest

from kitbag_packer.environments.directurls import direct_url
from kitbag_packer.environments.model import DIRECTORY, SDIST, VCS, WHEEL, Pick

ARCHIVE = '{"url":"https://example.org/a-1-py3-none-any.whl","archive_info":{}}'


@pytest.mark.parametrize("kind", [WHEEL, SDIST])
def test_an_address_that_was_asked_for_is_told_without_credentials(kind):
    urls = ("file:///a", "https://me:secret@example.org/a-1-py3-none-any.whl?token=x#sha256=1")
    assert direct_url(Pick("a", "1", kind, urls=urls, direct=True)) == ARCHIVE
    assert direct_url(Pick("a", "1", kind, urls=urls)) == ""
    assert direct_url(Pick("a", "1", kind, urls=urls[:1], direct=True)) == ""


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ("https://me:secret@example.org/r.git", "https://example.org/r.git"),
        ("ssh://git@example.org/r", "ssh://git@example.org/r"),
        ("ssh://git:secret@example.org/r", "ssh://example.org/r"),
        ("/home/me/r", ""),
        ("file:///home/me/r", ""),
    ],
)
def test_a_commit(repository, told):
    found = direct_url(Pick("a", "1", VCS, vcs="git", repository=repository, commit="abc"))
    assert found == (
        f'{{"url":"{told}","vcs_info":{{"vcs":"git","commit_id":"abc"}}}}' if told else ""
    )


def test_the_branch_that_was_asked_for():
    pick = Pick("a", "1", VCS, vcs="git", repository="https://e.org/r", commit="c", revision="main")
    vcs = '{"vcs":"git","commit_id":"c","requested_revision":"main"}'
    assert direct_url(pick) == f'{{"url":"https://e.org/r","vcs_info":{vcs}}}'


def test_where_in_it_the_project_is():
    pick = Pick("a", "1", VCS, vcs="git", repository="https://e.org/r", subdirectory="x")
    assert direct_url(pick).endswith(',"subdirectory":"x"}')


def test_a_directory_of_this_machine_is_not_told():
    assert direct_url(Pick("a", "1", DIRECTORY, path="/home/me/a")) == ""
