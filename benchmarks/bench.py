"""Times kitbag beside uv and tar: the same archives, one run, medians and ratios.

Everything is warm (archives and bundles in the page cache) and every install goes into a new root.
The commands of one table take turns, so that a machine whose speed drifts is fair to all. Peak
memory is the sum over all processes of a command, sampled in a run of its own.

Nothing is deleted before the end: ext4 does not reuse an inode for some minutes after it was freed
and searches past it again and again, which makes every file creation many times slower.

    python benchmarks/bench.py [--runs N] [--where DIR] [--only WORD]
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "tests"))

from support.interpreters import find_interpreters, packable_interpreters  # noqa: E402
from support.pbs import make_pbs_archive  # noqa: E402
from support.webserver import WebServer, serving  # noqa: E402

NEW = "{new}"


@dataclass(frozen=True)
class Contender:
    """A command and its environment; ``NEW`` in either stands for a directory to fill."""

    name: str
    command: list[str]
    environment: dict[str, str]
    before: tuple[list[str], ...] = ()
    """Commands that come first and are not timed."""

    def prepare(self, new: Path) -> None:
        """Run what comes first."""
        for words in self.before:
            command = [word.replace(NEW, str(new)) for word in words]
            environment = self.ready(new)[1]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

    def ready(self, new: Path) -> tuple[list[str], dict[str, str]]:
        """Command and environment for the directory ``new``, which is not there yet."""
        place = str(new)
        command = [word.replace(NEW, place) for word in self.command]
        return command, {name: text.replace(NEW, place) for name, text in self.environment.items()}


@dataclass(frozen=True)
class Table:
    """Contenders that do the same work; the first one is what the others are compared with."""

    title: str
    contenders: list[Contender]


def run_once(contender: Contender, new: Path) -> float:
    """Seconds of wall time for one run."""
    contender.prepare(new)
    command, environment = contender.ready(new)
    os.sync()
    started = time.perf_counter()
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{contender.name}: {done.stderr.decode(errors='replace')}")
    return seconds


def peak_memory(contender: Contender, new: Path) -> float:
    """The greatest sum of the proportional memory of a command's processes, in MiB."""
    contender.prepare(new)
    command, environment = contender.ready(new)
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, sum(map(proportional_memory, session_of(process.pid))))
            time.sleep(0.003)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    return peak / 1024


def session_of(leader: int) -> list[int]:
    """The processes of a session (field 6 of /proc/PID/stat, proc(5))."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                found.append(int(entry))
    return found


def proportional_memory(pid: int) -> int:
    """The Pss of a process in KiB (proc(5), smaps_rollup): shared pages count once in the sum."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def report(table: Table, runs: int, work: Path) -> None:
    """Run a table's contenders in turn and print it as Markdown."""
    times: dict[str, list[float]] = {each.name: [] for each in table.contenders}
    places = (work / f"filled-{number}" for number in itertools.count(time.monotonic_ns()))
    for number in range(runs + 1):
        for contender in table.contenders:
            seconds = run_once(contender, next(places))
            if number:
                times[contender.name].append(seconds)
    base = table.contenders[0].name
    print(f"\n### {table.title}\n")
    print(f"| command | median s | min s | max s | ratio to {base} | peak MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for contender in table.contenders:
        taken = times[contender.name]
        ratios = [mine / other for mine, other in zip(taken, times[base], strict=True)]
        print(
            f"| {contender.name} | {statistics.median(taken):.3f} | {min(taken):.3f} "
            f"| {max(taken):.3f} | {statistics.median(ratios):.2f} "
            f"| {peak_memory(contender, next(places)):.0f} |",
            flush=True,
        )


def clean_environment(**more: str) -> dict[str, str]:
    """An environment in which no setting of this machine's user counts."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **more}


def pack_quietly(command: list[str]) -> None:
    """Make a bundle that a table needs."""
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def uv_list(archives: dict[str, Path], place: Path) -> Path:
    """A download list in uv's format that names local files."""
    table = {}
    for version, path in archives.items():
        major, minor, patch = map(int, version.split("."))
        table[f"cpython-{version}-linux-x86_64-gnu"] = {
            "name": "cpython",
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": "file://" + str(path).replace("+", "%2B"),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "variant": None,
            "build": "20260101",
        }
    listing = place / "downloads.json"
    listing.write_text(json.dumps(table))
    return listing


def install_tables(work: Path) -> list[Table]:
    """One build and three builds, by everyone who can."""
    import uv

    found = {
        ".".join(map(str, each.version)): each
        for each in find_interpreters()
        if tuple(each.version)[:2] >= (3, 9)
    }
    versions = sorted(found, key=lambda text: tuple(map(int, text.split("."))))[-3:]
    archives = {
        version: Path(make_pbs_archive(found[version], work / "archives")) for version in versions
    }
    kitbag = str(Path(sys.executable).with_name("kitbag"))
    plain = f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    listing = uv_list(archives, work)
    tables = []
    for count, title in ((1, "Install one build"), (3, "Install three builds in one call")):
        chosen = versions[-count:]
        bundle = work / f"bench-{count}.kitbag"
        sources = [word for version in chosen for word in ("--from", str(archives[version]))]
        pack_quietly([kitbag, "pack", "-q", *sources, "-o", str(bundle)])
        ours = ["install", "--root", NEW, "--no-bin", "-q"]
        environment = clean_environment(
            UV_CACHE_DIR=str(work / "uv-cache"),
            UV_PYTHON_INSTALL_DIR=NEW,
            UV_NO_CONFIG="1",
        )
        command = [uv.find_uv_bin(), "python", "install", "-q", "--no-bin", "--offline"]
        command += ["--python-downloads-json-url", str(listing), *chosen]
        contenders = [
            Contender("uv python install", command, environment),
            Contender(
                "kitbag install",
                [kitbag, ours[0], str(bundle), *ours[1:]],
                clean_environment(),
            ),
            Contender(
                "python3 FILE",
                [plain, "-I", "-S", "-B", str(bundle), *ours],
                clean_environment(),
            ),
        ]
        unpack = "; ".join(f"tar -xzf '{archives[version]}'" for version in chosen)
        script = f"mkdir '{NEW}' && cd '{NEW}' && {{ {unpack}; }}"
        contenders.append(Contender("tar -xzf", ["sh", "-c", script], clean_environment()))
        tables.append(Table(title, contenders))
    return tables


FETCH = """
import sys
from pathlib import Path
from kitbag_packer.cache import Cache
from kitbag_packer.downloads.fetching import Download, fetch
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.reporting import QuietReporter
folder, *items = sys.argv[1:]
quiet = QuietReporter()
downloads = [
    Download(url, (url,), url.rpartition("/")[2], sha256)
    for url, sha256 in zip(items[::2], items[1::2])
]
sys.exit(len(fetch(downloads, Cache(Path(folder), quiet), DownloadSettings(), quiet).failures))
"""


def download_files() -> dict[str, bytes]:
    """Four files of 40 MB that can't be made smaller."""
    return {f"/{number}.tar.gz": b"\x1f\x8b" + os.urandom(40_000_000) for number in range(4)}


def download_table(server: WebServer) -> Table:
    """Four archives from a server on loopback, hashed: a whole process, at full speed."""
    urls = [server.url + path[1:] for path in server.content]
    options = " ".join(f"-O '{url}'" for url in urls)
    begin, end = f"mkdir '{NEW}' && cd '{NEW}' &&", f"-s {options} && sha256sum *"
    items = [
        word
        for url, data in zip(urls, server.content.values(), strict=True)
        for word in (url, hashlib.sha256(data).hexdigest())
    ]
    plain = clean_environment()
    return Table(
        "Download four archives from loopback",
        [
            Contender("curl, then sha256sum", ["sh", "-c", f"{begin} curl {end}"], plain),
            Contender("curl -Z, then sha256sum", ["sh", "-c", f"{begin} curl -Z {end}"], plain),
            Contender("kitbag's fetch", [sys.executable, "-c", FETCH, NEW, *items], plain),
        ],
    )


def self_install_tables(work: Path) -> list[Table]:
    """From ``sh FILE`` to the first command of the new Python, with busybox and nothing else."""
    busybox = shutil.which("busybox")
    if not busybox:
        return []
    commands = work / "commands"
    commands.mkdir()
    subprocess.run([busybox, "--install", "-s", str(commands)], check=True)
    newest = packable_interpreters((3, 9))[0]
    archive = Path(make_pbs_archive(newest, work / "archives"))
    bundle = work / "self.kitbag"
    kitbag = str(Path(sys.executable).with_name("kitbag"))
    pack_quietly([kitbag, "pack", "-q", "--from", str(archive), "-o", str(bundle)])
    alone = {"PATH": str(commands), "HOME": str(work)}
    unpack = f"mkdir '{NEW}' && tar -xzf '{archive}' -C '{NEW}'"
    install = f"sh '{bundle}' install -q --root '{NEW}' --bin-dir '{NEW}/bin'"
    install += f" && '{NEW}/bin/python{newest.minor}'"
    shell = [busybox, "sh", "-c"]
    return [
        Table(
            "Install with a shell alone",
            [
                Contender("busybox tar -xzf", [*shell, unpack], alone),
                Contender("sh FILE, python -c pass", [*shell, f"{install} -c pass"], alone),
            ],
        ),
        Table(
            "Start with a shell alone",
            [
                Contender("busybox sh -c :", [*shell, ":"], alone),
                Contender("sh FILE --version", [busybox, "sh", str(bundle), "--version"], alone),
                Contender("sh FILE show", [busybox, "sh", str(bundle), "show"], alone),
            ],
        ),
    ]


COPY = """
import hashlib, os, sys
out, *archives = sys.argv[1:]
digest = hashlib.sha256()
with open(out, "xb", buffering=0) as target:
    for archive in archives:
        with open(archive, "rb", buffering=0) as source:
            while data := source.read(1 << 20):
                digest.update(data)
                target.write(data)
    os.fsync(target.fileno())
    os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
again = hashlib.sha256()
with open(out, "rb", buffering=0) as source:
    while data := source.read(1 << 20):
        again.update(data)
sys.exit(digest.digest() != again.digest())
"""


def pack_table(work: Path) -> Table:
    """Three builds from a warm cache into one file that was read back."""
    kitbag = str(Path(sys.executable).with_name("kitbag"))
    found = {each.version[:2]: each for each in reversed(packable_interpreters((3, 9)))}
    archives = [
        Path(make_pbs_archive(found[minor], work / "archives")) for minor in sorted(found)[-3:]
    ]
    listing = uv_list({path.name.split("-")[1].split("+")[0]: path for path in archives}, work)
    requests = [".".join(map(str, minor)) for minor in sorted(found)[-3:]]
    command = [kitbag, "pack", "-q", *requests, "--catalog", str(listing)]
    command += ["--cache-dir", str(work / "cache"), "--offline", "-o"]
    pack_quietly([*command, str(work / "first.kitbag")])
    copy = [sys.executable, "-c", COPY, NEW, *map(str, archives)]
    return Table(
        "Pack three builds from a warm cache",
        [
            Contender("copy, hash, fsync, read back", copy, clean_environment()),
            Contender("kitbag pack", [*command, NEW], clean_environment()),
        ],
    )


def bytecode_tables(work: Path) -> list[Table]:
    """One build whose standard library is compiled when the command ends, and the same again."""
    import uv

    kitbag = str(Path(sys.executable).with_name("kitbag"))
    newest = max(packable_interpreters((3, 9)), key=lambda each: each.version)
    version = ".".join(map(str, newest.version))
    archive = Path(make_pbs_archive(newest, work / "archives"))
    listing = uv_list({version: archive}, work)
    pack = [kitbag, "pack", "-q", "--from", str(archive)]
    bundle, warm = work / "bare.kitbag", work / "warm.kitbag"
    pack_quietly([*pack, "-o", str(bundle)])
    pack_quietly([*pack, "--bytecode", "-o", str(warm)])
    environment = clean_environment(
        UV_CACHE_DIR=str(work / "uv-cache"),
        UV_PYTHON_INSTALL_DIR=NEW,
        UV_NO_CONFIG="1",
    )
    theirs = [uv.find_uv_bin(), "python", "install", "-q", "--no-bin", "--offline"]
    theirs += ["--python-downloads-json-url", str(listing), "--compile-bytecode", version]
    ours = ["--root", NEW, "--no-bin", "-q"]
    first = Table(
        "Install one build with its bytecode",
        [
            Contender("uv … --compile-bytecode", theirs, environment),
            Contender(
                "kitbag … --compile-bytecode",
                [kitbag, "install", str(bundle), *ours, "--compile-bytecode"],
                clean_environment(),
            ),
            Contender(
                "kitbag, packed --bytecode",
                [kitbag, "install", str(warm), *ours],
                clean_environment(),
            ),
        ],
    )
    # Each has a root of its own, where everything is there and compiled.
    there = {name: work / f"compiled-by-{name}" for name in ("uv", "kitbag")}
    mine = ["-q", "--root", str(there["kitbag"])]
    again = [
        Contender(
            "uv … --compile-bytecode",
            theirs,
            {**environment, "UV_PYTHON_INSTALL_DIR": str(there["uv"])},
        ),
        Contender(
            "kitbag … --compile-bytecode",
            [kitbag, "install", str(bundle), *mine, "--no-bin", "--compile-bytecode"],
            clean_environment(),
        ),
        Contender(
            "kitbag compile",
            [kitbag, "compile", *mine],
            clean_environment(),
        ),
    ]
    for contender in again[:2]:
        run_once(contender, work)
    return [first, Table("Compile the bytecode of a build once more", again)]


def start_table() -> Table:
    """How long it takes to say which version this is."""
    kitbag = str(Path(sys.executable).with_name("kitbag"))
    return Table(
        "Start",
        [
            Contender("python -c pass", [sys.executable, "-c", "pass"], clean_environment()),
            Contender("kitbag --version", [kitbag, "--version"], clean_environment()),
        ],
    )


def environment_tables(work: Path) -> list[Table]:
    """Environments, in a module of their own."""
    sys.path.insert(0, str(HERE / "benchmarks"))
    from environments import tables

    return [
        Table(title, [Contender(*each) for each in contenders])
        for title, contenders in tables(work, clean_environment())
    ]


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Time kitbag beside uv and tar.")
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each command")
    parser.add_argument("--where", help="a directory to work in, on the disk that is to be used")
    parser.add_argument("--only", default="", help="only tables with this word in their title")
    options = parser.parse_args()
    try:
        import isal

        accelerated = f"isal {isal.__version__}"
    except ImportError:
        accelerated = "no isal"
    print(
        f"Python {sys.version.split()[0]}, {accelerated}, {os.cpu_count()} CPUs, "
        f"runs: {options.runs}"
    )
    where = os.path.abspath(options.where) if options.where else None
    with tempfile.TemporaryDirectory(prefix="kitbag-bench-", dir=where) as folder:
        work = Path(folder)
        (work / "archives").mkdir()
        word = options.only.lower()
        if word in "download four archives from loopback":
            with serving(download_files()) as server:
                report(download_table(server), options.runs, work)
            if word:
                return 0
        for make in (
            install_tables,
            self_install_tables,
            lambda place: [pack_table(place)],
            bytecode_tables,
            environment_tables,
            lambda _: [start_table()],
        ):
            for table in make(work):
                if word in table.title.lower():
                    report(table, options.runs, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
