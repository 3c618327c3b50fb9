import pytest

from kitbag_bundles.keys import BuildKey, Target
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.bootstrap import Bootstrap, Plan, complete, machines, needed, tell
from kitbag_packer.starting import Runtime
from support.stock import Stock, offer, stock

GNU, WINDOWS, MACOS = "linux-x86_64-gnu", "windows-x86_64-none", "macos-aarch64-none"
PYODIDE = "pyodide-3.13.2-emscripten-wasm32-musl"
TARGETS = (GNU, "linux-x86_64_v3-gnu", "linux-x86_64-musl", WINDOWS, MACOS)
EVERYTHING = stock(
    *(
        f"cpython-{version}-{target}"
        for version in ("3.8.20", "3.12.1", "3.13.5", "3.14.5", "3.15.0a2")
        for target in TARGETS
    ),
    *(f"cpython-3.14.5+freethreaded-{target}" for target in TARGETS),
)


class Messages(SilentReporter):
    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def held(key: str, suffix: str = ".tar.gz", flavor: str = "install_only") -> Runtime:
    return Runtime(BuildKey.parse(key), suffix, flavor)


def completed(
    *builds: Runtime, catalogs: tuple[Stock, ...] = (EVERYTHING,), targets=(), **fields
) -> Plan:
    named = tuple(map(Target.parse, targets))
    return complete(builds, Bootstrap(catalogs, named, **fields))


def added(plan: Plan) -> list[str]:
    assert all(choice.bootstrap for choice in plan.added)
    return [str(choice.offer.key) for choice in plan.added]


DEBUG = held(f"cpython-3.13.5+debug-{GNU}", ".tar.zst", "full")
PYPY = held(f"pypy-3.11.15-{GNU}", ".tar.bz2", "")


def test_nothing_is_added_where_nothing_is_short():
    plan = completed(held(f"cpython-3.13.5-{GNU}"), PYPY, held(f"cpython-3.9.1-{WINDOWS}"))
    assert plan == Plan()


@pytest.mark.parametrize(
    ("builds", "key"),
    [
        # zstd takes 3.14; anything else the newest release, or a version that is there already.
        ([DEBUG], f"cpython-3.14.5-{GNU}"),
        ([PYPY, held(f"pypy-3.13.5-{GNU}", ".tar.bz2")], f"cpython-3.14.5-{GNU}"),
        ([held(f"graalpy-3.11.0-{GNU}")], f"cpython-3.14.5-{GNU}"),
        ([held(f"cpython-3.8.20-{GNU}")], f"cpython-3.14.5-{GNU}"),
        ([held(f"cpython-3.13.5-{GNU}"), DEBUG], f"cpython-3.14.5-{GNU}"),
        ([PYPY, held(f"cpython-3.13.5-{WINDOWS}")], f"cpython-3.13.5-{GNU}"),
        ([held(f"pypy-3.11.15-{WINDOWS}", ".zip")], f"cpython-3.14.5-{WINDOWS}"),
        ([held(f"pypy-3.11.15-{MACOS}", ".tar.bz2")], f"cpython-3.14.5-{MACOS}"),
        # A baseline build serves every level.
        ([held("cpython-3.13.5-linux-x86_64_v3-gnu", ".tar.zst")], f"cpython-3.14.5-{GNU}"),
        ([held(f"cpython-3.14.5-{GNU}", ".tar.zst", "full")], f"cpython-3.15.0a2-{GNU}"),
    ],
)
def test_what_is_added(builds, key):
    plan = completed(*builds)
    assert added(plan) == [key]
    assert plan.left == ()
    everything = [*builds, *(Runtime.promised(choice.offer) for choice in plan.added)]
    assert complete(everything, Bootstrap((EVERYTHING,))) == Plan()


def test_every_target_gets_its_own_in_one_version_and_in_any_order():
    builds = [held(f"cpython-3.13.5+debug-{target}", ".tar.zst", "full") for target in TARGETS]
    plan = completed(*builds)
    assert added(plan) == [
        f"cpython-3.14.5-{target}" for target in sorted(TARGETS) if "_v3" not in target
    ]
    assert completed(*reversed(builds)) == plan


def test_a_pyodide_is_for_the_machines_that_were_named():
    pyodide = held(PYODIDE, ".tar.bz2", "")
    assert added(completed(pyodide)) == []
    assert added(completed(pyodide, targets=(GNU, WINDOWS))) == [
        f"cpython-3.14.5-{GNU}",
        f"cpython-3.14.5-{WINDOWS}",
    ]
    assert added(completed(PYPY, targets=(WINDOWS,))) == [f"cpython-3.14.5-{GNU}"]
    assert machines([pyodide]) == []


def test_without_a_suitable_build_it_is_left():
    zst_only = stock(offer(f"cpython-3.14.5-{GNU}", "full", filename="x-full.tar.zst"))
    old = stock(f"cpython-3.13.5-{GNU}")
    unverified = stock(offer(f"cpython-3.14.5-{GNU}", sha256=""))
    for catalogs in ((), (zst_only,), (old,), (unverified,)):
        plan = completed(DEBUG, catalogs=catalogs)
        assert plan.added == ()
        assert [short.target for short in plan.left] == [DEBUG.key.target]
    assert completed(DEBUG, catalogs=(unverified,), allow_unverified=True).left == ()


def test_a_7z_is_beyond_help():
    plan = completed(held(f"cpython-3.14.5-{GNU}"), held(f"cpython-3.13.5-{GNU}", ".7z"))
    assert (plan.added, [short.undecodable for short in plan.left]) == ((), [(".7z",)])
    alone = completed(held(f"cpython-3.13.5-{GNU}", ".7z"))
    assert added(alone) == [f"cpython-3.14.5-{GNU}"]
    assert [short.undecodable for short in alone.left] == [(".7z",)]


@pytest.mark.parametrize(
    ("builds", "keys", "more"),
    [
        ([DEBUG], [DEBUG], []),
        ([PYPY], [PYPY], []),
        # Only what stands in the way.
        ([DEBUG, PYPY], [DEBUG], []),
        ([held(f"cpython-3.13.5-{GNU}"), DEBUG, PYPY], [DEBUG], []),
        ([held(f"cpython-3.14.5-{GNU}"), DEBUG], [], []),
        ([held(f"cpython-3.14.5-{GNU}", flavor="rerooted"), PYPY], [PYPY], []),
        # What can't start in any form needs company all the same.
        (
            [held(f"graalpy-3.11.0-{GNU}", ".tar.bz2", "")],
            [],
            [f"cpython-3.14.5-{GNU}"],
        ),
    ],
)
def test_recompressing_comes_before_adding(builds, keys, more):
    plan = completed(*builds, recompress=True)
    assert plan.recompressed == {build.key for build in keys}
    assert added(plan) == more
    assert plan.left == ()


def test_needed():
    extra = held(f"cpython-3.14.5-{GNU}")
    assert needed(extra, [DEBUG])
    assert not needed(extra, [DEBUG, held(f"cpython-3.14.4-{GNU}")])
    assert not needed(extra, [held(f"cpython-3.13.5-{WINDOWS}", ".tar.zst")])


def test_messages_are_one_line_and_say_what_to_do():
    sized = stock(offer(f"cpython-3.14.5-{GNU}", size=27_000_000))
    how = Bootstrap((sized,), remedy="--no-bootstrap leaves it out")
    heard = Messages()
    zst, windows = DEBUG, held(f"cpython-3.13.5+debug-{WINDOWS}", ".tar.zst")
    macos, wrapped = held(f"cpython-3.13.5-{MACOS}"), held(f"cpython-3.12.1-{MACOS}", ".7z")
    tell(complete([zst, windows, macos, wrapped], how), how, heard)
    lack = "nothing in the bundle can start the installer there (a CPython >= 3.9 as .tar.gz)"
    package = "zstandard package (from 3.14 on it needs none)"
    (info,) = heard.infos
    assert info == (
        f"{GNU}: {lack}; adding cpython-3.14.5-{GNU} (install_only_stripped, 27.0 MB); "
        "--no-bootstrap leaves it out"
    )
    first, second = heard.warnings
    assert first == (
        f"{MACOS}: nothing in the bundle that starts the installer there can decode .7z; "
        "it needs a Python >= 3.9 with the py7zr package on the target"
    )
    assert second == (
        f"{WINDOWS}: {lack}; it needs a Python >= 3.9 with the {package} on the target"
    )
