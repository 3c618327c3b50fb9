from dataclasses import replace

import pytest

from kitbag_bundles.errors import DoesNotFit, NoMatch
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import Host
from kitbag_installer.selection import matching_keys, select_builds
from support.bundles import packed_build

HOST = Host("linux", "x86_64", "gnu", "2.34", 3)
GNU = "linux-x86_64-gnu"
KEYS = [
    f"cpython-3.12.1-{GNU}",
    f"cpython-3.13.4-{GNU}",
    f"cpython-3.13.5-{GNU}",
    "cpython-3.13.5-linux-x86_64_v2-gnu",
    "cpython-3.13.5-linux-x86_64_v3-gnu",
    "cpython-3.13.5-linux-x86_64_v4-gnu",
    "cpython-3.13.5-linux-x86_64-musl",
    "cpython-3.13.5-linux-aarch64-gnu",
    f"cpython-3.13.5+freethreaded-{GNU}",
    f"pypy-3.11.15-{GNU}",
]
BUILDS = [packed_build(key).build for key in KEYS]


def selected(*requests: str, host: Host = HOST, builds=BUILDS) -> list[str]:
    """The keys that are chosen; what is refused is raised."""
    found = select_builds(builds, parse_requests(requests), host)
    if found.refusals:
        raise DoesNotFit("; ".join(found.refusals))
    return [str(build.key) for build in found.builds]


def test_without_a_request_it_is_the_best_of_everything_that_fits():
    assert selected() == [
        f"cpython-3.12.1-{GNU}",
        f"cpython-3.13.4-{GNU}",
        "cpython-3.13.5-linux-x86_64_v3-gnu",
        f"cpython-3.13.5+freethreaded-{GNU}",
        f"pypy-3.11.15-{GNU}",
    ]


def test_what_is_there_for_starting_alone_is_installed_only_when_asked_for():
    builds = [replace(BUILDS[1], bootstrap=True), BUILDS[9]]
    assert selected(builds=builds) == [KEYS[9]]
    assert selected("3.13", builds=builds) == [KEYS[1]]
    with pytest.raises(DoesNotFit, match="nothing in the bundle fits this host"):
        selected(builds=builds[:1])


def test_the_best_build_depends_on_the_cpu():
    old = replace(HOST, cpu_level=1)
    assert f"cpython-3.13.5-{GNU}" in selected(host=old)
    assert selected("3.13.5", host=old) == [f"cpython-3.13.5-{GNU}"]
    assert selected("3.13.5", host=replace(HOST, cpu_level=4)) == [KEYS[5]]


def test_requests_are_met_in_the_order_of_the_keys_and_once():
    assert selected("pypy", "3.12", "3.12.1") == [KEYS[0], KEYS[9]]
    assert selected("3.13", "3.13.4") == [KEYS[1], KEYS[4]]
    assert selected("latest") == [KEYS[4]]


def for_others(*requests: str, host: Host = HOST, builds=BUILDS) -> tuple[list[str], list[str]]:
    """The keys that are chosen for here, and those for other machines."""
    found = select_builds(builds, parse_requests(requests), host, foreign=True)
    assert not found.refusals
    keys = [build.key for build in found.builds]
    return (
        [str(key) for key in keys if key not in found.foreign],
        [str(key) for key in keys if key in found.foreign],
    )


def test_what_is_for_others_comes_beside_the_best_for_this_host():
    assert for_others() == (selected(), [KEYS[7], KEYS[6]])
    assert for_others("3.13") == (selected("3.13"), [KEYS[7], KEYS[6]])
    # It was named: the level that this CPU does not have.
    assert for_others(KEYS[5]) == ([], [KEYS[5]])
    assert for_others("3.13-musl") == ([], [KEYS[6]])


def test_of_other_machines_no_cpu_is_known():
    other = Host("macos", "aarch64", "none")
    fitting, others = for_others("3.13.5", host=other)
    assert (fitting, set(others)) == ([], set(KEYS[2:8]))


def test_the_newest_patch_is_that_of_each_target():
    extra = packed_build("cpython-3.13.4-windows-x86_64-none").build
    fitting, others = for_others("3.13", builds=[*BUILDS, extra])
    assert fitting == [KEYS[4]]
    assert set(others) == {KEYS[6], KEYS[7], str(extra.key)}


def test_what_only_starts_kitbag_elsewhere_is_not_installed_unasked():
    builds = [replace(BUILDS[7], bootstrap=True), BUILDS[2]]
    assert for_others(builds=builds) == ([KEYS[2]], [])
    assert for_others(KEYS[7], builds=builds) == ([], [KEYS[7]])


def test_a_native_build_beats_one_that_is_emulated():
    keys = ["cpython-3.13.5-macos-aarch64-none", "cpython-3.13.5-macos-x86_64-none"]
    builds = [packed_build(key).build for key in keys]
    host = Host("macos", "aarch64", "none")
    assert selected(host=host, builds=builds) == keys[:1]
    assert selected(host=host, builds=builds[1:]) == keys[1:]


def test_a_key_gets_that_very_build():
    assert selected(f"cpython-3.13.5-{GNU}") == [f"cpython-3.13.5-{GNU}"]


def test_a_request_that_names_nothing_says_what_there_is():
    with pytest.raises(NoMatch, match=r"no build in the bundle matches '3\.9'; it has cpython-"):
        selected("3.12", "3.9")


def test_a_build_for_another_machine_says_why():
    with pytest.raises(DoesNotFit, match=r"aarch64-gnu does not fit this host, .*is for aarch64"):
        selected(KEYS[7])
    with pytest.raises(DoesNotFit, match="level 3"):
        selected(KEYS[5])


def test_a_bundle_for_other_machines_says_what_it_has():
    with pytest.raises(DoesNotFit, match="nothing in the bundle fits this host"):
        selected(host=replace(HOST, arch="s390x"))
    with pytest.raises(DoesNotFit, match="it is empty"):
        selected(builds=[])


def test_a_request_without_a_patch_means_the_newest_of_each_minor_version():
    assert selected("3.13") == [KEYS[4]]
    assert selected(">=3.12") == [KEYS[0], KEYS[4]]
    assert selected("3.13.4") == [KEYS[1]]
    assert selected("any") == [KEYS[0], KEYS[4], KEYS[8], KEYS[9]]
    # The newest that fits, not the newest there is.
    newer = packed_build("cpython-3.13.9-linux-s390x-gnu").build
    assert selected("3.13", builds=[*BUILDS, newer]) == [KEYS[4]]


def test_what_a_build_needs_of_the_system_is_checked_before_anything_is_done():
    needs = replace(BUILDS[2].needs, glibc="2.39")
    wanting = replace(BUILDS[2], needs=needs)
    with pytest.raises(DoesNotFit, match=r"3\.13\.5-.*needs glibc 2\.39, this system has 2\.34"):
        selected("3.13", builds=[BUILDS[0], wanting])
    with pytest.raises(DoesNotFit, match=r"nothing .* fits .*needs glibc 2\.39"):
        selected(builds=[wanting])
    assert selected(builds=[BUILDS[0], wanting]) == [KEYS[0]]


def test_a_build_in_doubt_is_chosen_where_nothing_surer_is():
    unknown = replace(HOST, cpu_level=0)
    assert selected("3.13.5", host=unknown) == [f"cpython-3.13.5-{GNU}"]
    assert selected(host=unknown)[2] == f"cpython-3.13.5-{GNU}"
    assert selected(KEYS[5], host=unknown) == [KEYS[5]]
    assert selected(host=unknown, builds=[BUILDS[5]]) == [KEYS[5]]


def test_everything_that_is_refused_is_told_once():
    requests = parse_requests([KEYS[7], KEYS[5], "3.12", KEYS[7]])
    builds, refusals, _ = select_builds(BUILDS, requests, HOST)
    assert [str(build.key) for build in builds] == [KEYS[0]]
    assert [refusal.split()[0] for refusal in refusals] == [KEYS[7], KEYS[5]]


def upgrading(*requests: str, installed: tuple[str, ...] = (), builds=BUILDS) -> list[str]:
    lines = {BuildKey.parse(key).minor_key for key in installed}
    found = select_builds(builds, parse_requests(requests), HOST, lines)
    return [str(build.key) for build in found.builds]


def test_an_upgrade_is_the_newest_patch_of_each_line():
    assert upgrading() == [key for key in selected() if key != KEYS[1]]
    assert upgrading("3.13") == [KEYS[4]]
    assert upgrading("3.13.4") == [KEYS[1]]


def test_an_upgrade_stays_with_the_target_that_is_installed():
    assert upgrading("3.13", installed=(KEYS[1],)) == [KEYS[2]]
    assert upgrading(installed=(KEYS[1],)) == [KEYS[0], KEYS[2], KEYS[8], KEYS[9]]
    assert upgrading("3.13", installed=(KEYS[1], KEYS[3])) == [KEYS[2], KEYS[3]]
    # What is installed of another machine's is none of ours.
    assert upgrading("3.13", installed=(KEYS[7],)) == [KEYS[4]]


def test_an_upgrade_takes_a_prerelease_only_where_nothing_else_is():
    early = packed_build(f"cpython-3.13.6rc1-{GNU}").build
    assert upgrading("3.13", installed=(KEYS[1],), builds=[*BUILDS, early]) == [KEYS[2]]
    assert upgrading(installed=(KEYS[1],), builds=[early]) == [str(early.key)]


PARSED = [BuildKey.parse(key) for key in (*KEYS[:3], KEYS[8], KEYS[9], f"cpython-3.14.0rc1-{GNU}")]


def matching(*requests: str) -> list[str]:
    found = matching_keys(PARSED, parse_requests(requests))
    return [str(key).replace(f"-{GNU}", "") for key in found]


def test_installed_builds_match_whatever_they_are():
    assert matching("3.13") == ["cpython-3.13.4", "cpython-3.13.5"]
    assert matching("3.14") == ["cpython-3.14.0rc1"]
    assert matching("pypy", "3.12") == ["cpython-3.12.1", "pypy-3.11.15"]
    assert matching("any") == matching()
    assert len(matching()) == len(PARSED)


def test_the_latest_of_what_is_installed_is_one_version():
    assert matching("latest") == ["cpython-3.13.5"]


def test_a_request_that_names_nothing_installed_says_what_is():
    with pytest.raises(
        NoMatch, match=r"nothing installed matches '3\.9'; installed: cpython-3\.12"
    ):
        matching("3.12", "3.9")
    with pytest.raises(NoMatch, match="installed: nothing"):
        matching_keys((), parse_requests(["3.9"]))
    assert matching_keys((), ()) == ()
